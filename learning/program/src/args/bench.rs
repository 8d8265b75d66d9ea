//! `zoo cv-bench` and `zoo analyse`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `zoo cv-bench`.
#[derive(Debug, Args)]
pub struct CvBenchArgs {
    /// What to do
    #[command(subcommand)]
    pub command: CvBenchCommand,
}

/// What `zoo cv-bench` does.
#[derive(Debug, Subcommand)]
pub enum CvBenchCommand {
    /// Make a draft of questions from annotated pictures
    Build(BuildArgs),
    /// Write the set of what people accepted on the draft's sheet
    Finish(FinishArgs),
}

/// `zoo cv-bench build`.
#[derive(Debug, Args)]
#[command(after_help = "\
The draft is a folder with the questions in the published schema (Parquet and JSONL), pictures with their boxes drawn, a line of \
reason for every candidate that was rejected, and review.html: open it, accept, modify or reject, save decisions.json, and \
give it to `zoo cv-bench finish`.

Examples:
  zoo cv-bench build --coco instances_val2017.json --pictures val2017 --out draft
  zoo cv-bench build --omni3d SUNRGBD_test.json --pictures datasets --out draft3d --depth-margin 0.2")]
pub struct BuildArgs {
    /// A file in COCO's form (instances); may be given several times
    #[arg(long, value_name = "FILE")]
    pub coco: Vec<PathBuf>,
    /// A folder in ADE20K's form: a file of JSON beside each picture, or masks of instances
    #[arg(long, value_name = "FOLDER")]
    pub ade20k: Vec<PathBuf>,
    /// A file in Omni3D's form: boxes in the camera's space
    #[arg(long, value_name = "FILE")]
    pub omni3d: Vec<PathBuf>,
    /// The folder that paths of pictures count from
    #[arg(long, value_name = "FOLDER")]
    pub pictures: PathBuf,
    /// The folder of the draft
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Everything random follows from it
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Questions of one task about one picture at most
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub per_picture: usize,
    /// The smallest object that is asked about, as a share of the picture
    #[arg(long, value_name = "SHARE", default_value_t = 0.005)]
    pub smallest: f64,
    /// The largest number that is asked for
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub most: usize,
    /// How far boxes must be apart for left or above, as a share of the picture
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    pub apart: f64,
    /// How much closer to the camera is clear, in metres
    #[arg(long, value_name = "METRES", default_value_t = 0.1)]
    pub depth_margin: f64,
    /// How much closer to the third object is clear, in metres
    #[arg(long, value_name = "METRES", default_value_t = 0.1)]
    pub distance_margin: f64,
}

/// `zoo cv-bench finish`.
#[derive(Debug, Args)]
pub struct FinishArgs {
    /// The folder of the draft
    #[arg(value_name = "DRAFT")]
    pub draft: PathBuf,
    /// What review.html saved
    #[arg(long, value_name = "FILE")]
    pub decisions: PathBuf,
    /// The folder of the set
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
}

/// `zoo analyse`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without runs and without --scores the tables of the paper are analysed.

Examples:
  zoo analyse --out figures
  zoo analyse --scores mine.csv --out figures
  zoo analyse runs/a runs/b runs/c --blind runs/a=runs/a-blind --out figures")]
pub struct AnalyseArgs {
    /// Folders of runs
    #[arg(value_name = "RUN", conflicts_with = "scores")]
    pub runs: Vec<PathBuf>,
    /// A table of scores: one line per model, one column per benchmark
    #[arg(long, value_name = "FILE.csv")]
    pub scores: Option<PathBuf>,
    /// A run and one of the same model that saw nothing
    #[arg(long, value_name = "RUN=BLIND")]
    pub blind: Option<String>,
    /// The folder of the page and its pictures
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// What becomes of files that are there.
    #[command(flatten)]
    pub overwrite: zoo_terminal::args::OverwriteArgs,
}
