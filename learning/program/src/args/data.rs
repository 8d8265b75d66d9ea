//! `zoo data`

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::{Args, Subcommand, ValueEnum};
use zoo_terminal::args::Part;

use super::SynthArgs;

/// `zoo data`.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DataCommand,
}

/// What `zoo data` does.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Show a data set at a glance: records, lengths, images, sources, answers, what is wrong
    Inspect(InspectArgs),
    /// Say what is wrong with records and images: form, speakers, tags, missing images, duplicates
    Check(CheckArgs),
    /// Choose a mixture from many sources: caps, ratios, a total
    Curate(CurateArgs),
    /// Join data sets in a mixed order
    Mix(MixArgs),
    /// Cut a data set into pieces that share no image
    Split(SplitArgs),
    /// Change the form: JSON, JSONL, Parquet, tar shards; pictures inside or in files
    Convert(ConvertArgs),
    /// Append response formats, so that short answers are asked for
    Prompt(PromptArgs),
    /// Take out records that say the same as an earlier one
    Dedup(DedupArgs),
    /// Find pictures of benchmarks among those that are learnt from
    Leak(LeakArgs),
    /// Make instruction data from pages about chosen fields
    Engine(EngineArgs),
    /// Make pictures of a synthetic world, with everything that is true of them
    Synth(Box<SynthArgs>),
}

/// What is read.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// Records: .json, .jsonl, .csv, .tsv, .parquet, .tar or folders; several are read as one
    #[arg(required = true)]
    pub records: Vec<PathBuf>,
    /// The folder that paths of images count from; that of the records if absent
    #[arg(long, value_name = "FOLDER")]
    pub images: Option<PathBuf>,
}

/// Where the result goes.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The file that is written: .json, .jsonl, .parquet or .tar
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    pub overwrite: bool,
    /// Write shards of this many rows, FILE-00000.ext and so on; those that are there stay, so that a job which was cut off
    /// goes on
    #[arg(long, value_name = "ROWS", conflicts_with = "overwrite", value_parser = clap::value_parser!(u64).range(1..))]
    pub shard: Option<u64>,
    /// With --shard: write every n-th shard only, as I/N, I from 0; others write the rest
    #[arg(long, value_name = "I/N", value_parser = Part::from_str, requires = "shard")]
    pub part: Option<Part>,
}

/// `zoo data inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// What is read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Also count tokens: a model folder or a tokenizer.json
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<PathBuf>,
    /// Write a page with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `zoo data check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// What is read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Also decode every image
    #[arg(long)]
    pub decode: bool,
    /// Write what is sound, and what can be made so in one way only, with a list of changes beside it
    #[arg(long, value_name = "FILE")]
    pub repair: Option<PathBuf>,
    /// Replace the file of --repair
    #[arg(long, requires = "repair")]
    pub overwrite: bool,
}

/// `zoo data curate`.
#[derive(Debug, Args)]
#[command(after_help = "\
docs/data.md describes recipes. Shipped ones have counts in place of files, for --plan: cambrian-10m, cambrian-7m, \
cambrian-t150, -t250, -t350, -t450, cambrian-ratio-1 to -5.

Examples:
  zoo data curate cambrian-t350 --plan
  zoo data curate mixture.toml --out mixture.jsonl")]
pub struct CurateArgs {
    /// The recipe, or the name of a shipped one
    #[arg(value_name = "RECIPE")]
    pub recipe: String,
    /// Count and decide, and write nothing
    #[arg(long, conflicts_with = "out", required_unless_present = "out")]
    pub plan: bool,
    /// The file that is written: .json, .jsonl, .parquet or .tar
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    pub overwrite: bool,
    /// Write shards of this many rows; those that are there stay, so that a job which was cut off goes on
    #[arg(long, value_name = "ROWS", conflicts_with = "overwrite", value_parser = clap::value_parser!(u64).range(1..))]
    pub shard: Option<u64>,
    /// With --shard: write every n-th shard only, as I/N, I from 0; others write the rest
    #[arg(long, value_name = "I/N", value_parser = Part::from_str, requires = "shard")]
    pub part: Option<Part>,
}

/// `zoo data mix`.
#[derive(Debug, Args)]
pub struct MixArgs {
    /// Files, each with how often its records come: a.jsonl, b.jsonl=2, c.jsonl=0.5
    #[arg(required = true, value_name = "FILE[=TIMES]")]
    pub parts: Vec<String>,
    /// Where the result goes.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Decides the order
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// `zoo data split`.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// What is read.
    #[command(flatten)]
    pub input: InputArgs,
    /// A file and its share: train.jsonl=0.9
    #[arg(long = "into", required = true, value_name = "FILE=SHARE")]
    pub pieces: Vec<String>,
    /// The column whose value decides; records without one go by their text
    #[arg(long, default_value = "image", value_name = "COLUMN")]
    pub by: String,
    /// Decides which records go where
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Replace files that are there
    #[arg(long)]
    pub overwrite: bool,
}

/// `zoo data convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// What is read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Put pictures that are in the rows into files of this folder, named by their content
    #[arg(long, value_name = "FOLDER")]
    pub pictures: Option<PathBuf>,
    /// Take the pictures that this column names into the rows
    #[arg(long, value_name = "COLUMN", conflicts_with = "pictures")]
    pub inside: Vec<String>,
}

/// `zoo data prompt`.
#[derive(Debug, Args)]
pub struct PromptArgs {
    /// What is read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The source of records that do not name theirs
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

/// What makes two records the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The same image and conversation; ids and sources do not count
    Exact,
    /// A picture that looks the same, and the same conversation
    Picture,
    /// A picture that looks the same, whatever is said about it
    PictureAlone,
    /// Most of the text
    Text,
}

/// Which hash of pictures is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HashArg {
    /// Brighter from left to right: imagehash.dhash
    Difference,
    /// Low frequencies: imagehash.phash
    Perceptual,
}

/// When two pictures look the same.
#[derive(Debug, Args)]
pub struct SameArgs {
    /// Which hash is compared
    #[arg(long, value_enum, default_value = "difference")]
    pub hash: HashArg,
    /// Bits of 64 in which hashes may differ
    #[arg(long, default_value_t = 0, value_name = "BITS", value_parser = clap::value_parser!(u32).range(0..=16))]
    pub distance: u32,
    /// The column with pictures
    #[arg(long, default_value = "image", value_name = "COLUMN")]
    pub column: String,
}

/// `zoo data dedup`.
#[derive(Debug, Args)]
pub struct DedupArgs {
    /// What is read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub target: TargetArgs,
    /// What makes two records the same
    #[arg(long, value_enum, default_value = "exact")]
    pub by: By,
    /// When two pictures look the same.
    #[command(flatten)]
    pub same: SameArgs,
    /// With --by text: share of runs of five words that two texts have in common
    #[arg(long, default_value_t = 0.8, value_name = "SHARE")]
    pub threshold: f64,
}

/// `zoo data leak`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  zoo data leak train.jsonl --against mmbench=mmbench.tsv --against cv-bench=cv-bench/ --keep hashes
  zoo data leak train.jsonl --against mmbench=mmbench.tsv --keep hashes --out clean.jsonl")]
pub struct LeakArgs {
    /// What is read.
    #[command(flatten)]
    pub input: InputArgs,
    /// A benchmark and its tables, archives or folders of pictures, separated by commas
    #[arg(long, required = true, value_name = "NAME=PATH[,PATH]")]
    pub against: Vec<String>,
    /// When two pictures look the same.
    #[command(flatten)]
    pub same: SameArgs,
    /// The column with pictures of the benchmarks; that of --column if absent
    #[arg(long, value_name = "COLUMN")]
    pub against_column: Option<String>,
    /// Keep hashes in this folder: pictures are read once, and a job that was cut off goes on
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// Write the records whose picture is in no benchmark
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long, requires = "out")]
    pub overwrite: bool,
}

/// `zoo data engine`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every stage keeps its files in the folder; what has its file is never asked for again, so a run can be ended at any place \
and goes on there. The model's key is read from the environment variable ZOO_ENGINE_KEY.

Examples:
  zoo data engine fields.txt --out engine --model-url http://localhost:8000/v1 --model mistral --folder pages/
  zoo data engine fields.txt --out engine --model-url https://host/v1 --model name --requests 5000 --per-minute 300")]
pub struct EngineArgs {
    /// One field a line: `Field: subfield, subfield`
    pub fields: PathBuf,
    /// The folder of the run
    #[arg(long, short, value_name = "FOLDER")]
    pub out: PathBuf,
    /// An OpenAI-compatible endpoint, without /chat/completions
    #[arg(long, value_name = "URL")]
    pub model_url: String,
    /// The model's name there
    #[arg(long, value_name = "NAME")]
    pub model: String,
    /// The api.php of a MediaWiki, where pages are searched and read
    #[arg(long, value_name = "URL", default_value = "https://en.wikipedia.org/w/api.php", conflicts_with_all = ["dump", "folder"])]
    pub wiki: String,
    /// Take pages from tables with title, url and html, such as a dump of Wikimedia Enterprise
    #[arg(long, value_name = "FILE", conflicts_with = "folder")]
    pub dump: Vec<PathBuf>,
    /// Take pages and pictures from the HTML files of a folder
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Topics of each subfield
    #[arg(long, default_value_t = 20)]
    pub topics: usize,
    /// Pages of each topic
    #[arg(long, default_value_t = 10)]
    pub pages_per_topic: usize,
    /// Words that a section has at least
    #[arg(long, default_value_t = 50)]
    pub words: usize,
    /// Requests to the model that all runs in this folder may make
    #[arg(long, default_value_t = 1000)]
    pub requests: u64,
    /// Tokens that they may need
    #[arg(long, default_value_t = 1_000_000)]
    pub tokens: u64,
    /// Requests to the model in a minute; 0 for as many as it answers
    #[arg(long, default_value_t = 60)]
    pub per_minute: u32,
    /// Seconds between two requests to the same server of pages or pictures
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    pub pause: f64,
    /// Keep answers that nobody judged
    #[arg(long)]
    pub no_judge: bool,
    /// Also take pictures from private addresses: for a wiki of one's own
    #[arg(long)]
    pub private: bool,
}
