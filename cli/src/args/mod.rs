//! What was typed. Nothing here touches the disk; what it means is decided by the commands.

mod bench;
mod computing;
mod list;
mod model;
mod vectors;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use zoo_core::Quantisation;

pub use bench::BenchArgs;
pub use computing::{EncodeArgs, EncoderArgs, PreprocessArgs, Subject, ViewArgs};
pub use model::{AnswerArgs, AskArgs, ChatArgs, ExplainArgs, TalkArgs, TraceArgs};
pub use vectors::{ClassifyArgs, IndexArgs, SearchArgs, SimilarArgs};
pub use zoo_terminal::args::{
    DEFAULT_MODEL, Dtype, Global, ModelArgs, Newline, OrientationArgs, OverwriteArgs, PixelArgs,
};

/// Look at images with vision encoders, one or several together.
#[derive(Debug, Parser)]
#[command(
    name = "zoo",
    version,
    max_term_width = 100,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what the registry and the plugin folders hold
    List(ListArgs),
    /// Show everything about one encoder, ensemble, connector, language model or model
    Info(InfoArgs),
    /// Validate the registry and print the shapes, parameters and costs of ensembles
    Check(CheckArgs),
    /// Download weights into the cache that is shared with the Python tools
    Pull(PullArgs),
    /// Write the pixels that an encoder would be given
    Preprocess(PreprocessArgs),
    /// Write the features of images
    Encode(EncodeArgs),
    /// Draw what encoders see in an image
    View(ViewArgs),
    /// Say which of several labels fits a picture, by an encoder that was trained with texts
    Classify(ClassifyArgs),
    /// Find the pictures of a folder that fit a text
    Search(SearchArgs),
    /// Find the pictures of a folder that are like another one
    Similar(SimilarArgs),
    /// Ask a multimodal model about images
    Ask(AskArgs),
    /// Talk with a multimodal model, about an image or about none
    Chat(ChatArgs),
    /// Draw where a model's aggregation layers look while it answers
    Explain(ExplainArgs),
    /// Write the numbers on the way to an answer, to compare implementations
    Trace(TraceArgs),
    /// Measure how fast encoders and ensembles are on this machine
    Bench(BenchArgs),
    /// Write the language model of a model to a GGUF file, its matrices in few bits
    Quantize(QuantizeArgs),
    /// Train the connector or the whole of a model on conversations about images
    Train(ElsewhereArgs),
    /// Bring up a small vision encoder, from nothing, on a synthetic world
    Pretrain(ElsewhereArgs),
    /// Look at, check, curate, mix, convert and compare data for training
    Data(ElsewhereArgs),
    /// Ask a model the questions of benchmarks, and keep its replies
    Eval(ElsewhereArgs),
    /// Judge the replies of a run, by the rules of any harness
    Score(ElsewhereArgs),
    /// Hold runs against each other
    Compare(ElsewhereArgs),
    /// Build questions as those of CV-Bench from annotated pictures
    CvBench(ElsewhereArgs),
    /// Train and judge every combination of a study, and report what sees best
    Study(ElsewhereArgs),
    /// Draw what scores say about benchmarks and encoders
    Analyse(ElsewhereArgs),
    /// Turn very many images into vectors or feature maps, on as many machines as there are
    Extract(ElsewhereArgs),
    /// Answer questions about images, and give what encoders see of them, over HTTP
    Serve(ElsewhereArgs),
    /// List, check or trust plugins
    Plugins(PluginsArgs),
    /// Look for what is wrong with this installation, and say how to fix it
    Doctor,
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// A command that another program knows: whatever follows is for that one to read.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct ElsewhereArgs {
    /// What follows; `--help` says what may
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    pub arguments: Vec<OsString>,
}

/// `zoo list`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// What to list; everything but plugins if absent
    pub what: Option<What>,
}

/// Kinds of things that can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Encoders.
    Encoders,
    /// Ensembles of encoders.
    Ensembles,
    /// Connectors.
    Connectors,
    /// Language models.
    Llms,
    /// Multimodal models.
    Models,
    /// Plugins.
    Plugins,
}

/// `zoo info`.
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// An id, an alias (timm, open_clip, Hugging Face) or a tower name such as NAME-res512-interp576
    pub id: String,
}

/// `zoo check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// A registry file to check on top of the others; its ensembles are shown
    pub file: Option<PathBuf>,
}

/// `zoo pull`.
#[derive(Debug, clap::Args)]
pub struct PullArgs {
    /// An encoder, a connector, an ensemble with all its parts, or a model with its encoders
    #[arg(required_unless_present = "dataset")]
    pub id: Option<String>,
    /// In place of weights, the data of these tasks of `zoo eval`, for its --data
    #[arg(long, value_name = "TASKS", conflicts_with_all = ["id", "accept_licence"])]
    pub dataset: Option<String>,
    /// The folder with a folder for each data set; `data` if absent
    #[arg(long, value_name = "FOLDER", requires = "dataset")]
    pub out: Option<PathBuf>,
    /// You have read the licence of weights that have terms of their own, such as non-commercial use, and accept it
    #[arg(long)]
    pub accept_licence: bool,
}

/// `zoo quantize`.
#[derive(Debug, clap::Args)]
pub struct QuantizeArgs {
    /// Registry id, or a model folder
    pub model: PathBuf,
    /// Format of the matrices: q8_0, q6_k or q4_k; q8_0 where blocks of 256 do not fit
    #[arg(long = "type", value_name = "FORMAT")]
    pub format: Quantisation,
    /// The GGUF file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What becomes of what is there already.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}

/// `zoo plugins`.
#[derive(Debug, clap::Args)]
pub struct PluginsArgs {
    /// What to do with them
    #[command(subcommand)]
    pub action: PluginsAction,
}

/// What to do with plugins.
#[derive(Debug, Subcommand)]
pub enum PluginsAction {
    /// List the plugins that are found; reads manifests only, runs no code of a plugin
    List,
    /// Load plugins and compare them with their manifests
    Check {
        /// Only this one
        name: Option<String>,
    },
    /// Record a plugin's hash as trusted. A plugin is native code with your rights: trust only what you know
    Trust {
        /// The plugin
        name: String,
    },
    /// Put a library that you built into a plugin folder, with its manifest. Runs code of the library
    Stage(StageArgs),
}

/// `zoo plugins stage`.
#[derive(Debug, clap::Args)]
pub struct StageArgs {
    /// The dynamic library
    pub library: PathBuf,
    /// The author's part of the manifest
    #[arg(long, value_name = "FILE", default_value = "plugin.toml")]
    pub manifest: PathBuf,
    /// The plugin folder; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// Trust it at once, whatever was trusted under its name before
    #[arg(long)]
    pub trust: bool,
    /// `--overwrite`
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}

/// `zoo completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("zoo").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn layers_may_be_negative_and_several() {
        let layers = |line: &str| match parse(line).unwrap().command {
            Command::Encode(args) => args.subject.options.layer,
            other => panic!("{other:?}"),
        };
        assert_eq!(layers("encode a.png --encoder x --layer -2 --out f.npy"), [-2]);
        assert_eq!(layers("encode a.png --encoder x --layer -4,-2,7 --out f.npy"), [-4, -2, 7]);
        assert_eq!(layers("encode a.png --encoder x --layer=3 --out f.npy"), [3]);
        assert!(layers("encode a.png --encoder x --out f.npy").is_empty());
    }

    #[test]
    fn the_last_of_norm_and_no_norm_wins() {
        let norm = |line: &str| match parse(line).unwrap().command {
            Command::Encode(args) => args.subject.options.norm(),
            other => panic!("{other:?}"),
        };
        assert_eq!(norm("encode a --encoder x --out f.npy"), None);
        assert_eq!(norm("encode a --encoder x --out f.npy --norm"), Some(true));
        assert_eq!(norm("encode a --encoder x --out f.npy --norm --no-norm"), Some(false));
    }

    #[test]
    fn global_options_stand_anywhere() {
        let before = parse("--json --registry a.toml list --registry b.toml").unwrap().global;
        assert!(before.json);
        assert_eq!(parse("list encoders --threads 3 -q").unwrap().global.threads.unwrap().get(), 3);
    }

    #[test]
    fn what_another_program_reads_is_not_read_here() {
        for line in [
            "train r.toml --dry-run",
            "train --help",
            "--json data check --no-such x",
            "train --resume -x=3 -- a",
        ] {
            assert!(matches!(parse(line).unwrap().command, Command::Train(_) | Command::Data(_)), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "",
            "lisst",
            "list dogs",
            "encode a.png --out f.npy",
            "encode --encoder x --out f.npy",
            "encode a.png --encoder x",
            "encode a.png --encoder x --ensemble y --out f.npy",
            "encode a.png --ensemble y --layer 2 --out f.npy",
            "encode a.png --ensemble y --arch-override f.json --out f.npy",
            "encode a.png --encoder x --layer two --out f.npy",
            "encode a.png --encoder x --batch 0 --out f.npy",
            "list --device gpu",
            "list --dtype f64",
            "list --threads 0",
            "view a.png --encoder x",
            "bench",
            "bench --encoder x --weights f --random-weights",
            "bench --ensemble x --resolution 224",
            "bench --encoder x --batch 1,0",
            "ask",
            "ask a.png what --quantise q5_0",
            "ask a.png what --newline maybe",
            "ask a.png what --choices A,B --beams 2",
            "ask a.png what --beams 2 --temperature 1",
            "quantize x --type q4_k",
            "quantize x --out y.gguf",
            "quantize x --type q5_0 --out y.gguf",
            "chat a.png b.png",
            "explain a.png what",
            "explain a.png --out x.png",
            "trace a.png what",
        ] {
            assert!(parse(line).is_err(), "`zoo {line}` was accepted");
        }
    }
}
