//! `zoo eval`, `zoo score`, `zoo compare`

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use zoo_terminal::args::OrientationArgs;

/// `zoo eval`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Every reply is stored as it comes, with all that made it; the same command goes on where it was stopped. `zoo score RUN` \
judges the replies, by anybody's rules, without a model. docs/evaluation.md shows how to judge a model and how to write a \
task.

Examples:
  zoo eval --model MODEL --tasks cv-bench,mmvp --data DATA --out runs/mine
  zoo eval --model http://127.0.0.1:8000/v1 --served NAME --tasks cv-bench --data DATA --out runs/theirs
  zoo eval --model MODEL --tasks mine.toml --data DATA --out runs/blind --blind
  zoo eval check mine.toml --data DATA"
)]
pub struct EvalArgs {
    /// Instead of asking
    #[command(subcommand)]
    pub command: Option<EvalCommand>,
    /// Registry id, model folder, or the address of an OpenAI-compatible endpoint
    #[arg(long, value_name = "MODEL", default_value = "trilobite")]
    pub model: String,
    /// Names of tasks, or files; `zoo eval tasks` lists what there is
    #[arg(long, value_name = "TASKS", value_delimiter = ',', required = true)]
    pub tasks: Vec<String>,
    /// The folder of the data: of one task, or with a folder for each
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub data: PathBuf,
    /// The folder in which the run is kept
    #[arg(long, value_name = "FOLDER", required = true)]
    pub out: Option<PathBuf>,
    /// Ask the first N items of each task only
    #[arg(long, value_name = "N")]
    pub limit: Option<NonZeroUsize>,
    /// Show no picture: the prompt is the same, and its image tokens are left out
    #[arg(long)]
    pub blind: bool,
    /// How an answer is found: written, or the likeliest of the options
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub choices_by: ChoicesBy,
    /// Ask a part of the items: I/N, with I from 1 to N; each part may be another process
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Most tokens to write, in place of what the task says
    #[arg(long, value_name = "N")]
    pub max_new_tokens: Option<NonZeroUsize>,
    /// Conversation template in place of the model's own
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// Drop the newline behind the image, as the reference's evaluation does for some models
    #[arg(long)]
    pub drop_newline: bool,
    /// What the endpoint calls the model
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub served: String,
    /// The variable that holds the endpoint's key
    #[arg(long, value_name = "VARIABLE", default_value = "OPENAI_API_KEY")]
    pub key_env: String,
    /// Questions that are under way at an endpoint at once
    #[arg(long, value_name = "N", default_value = "8")]
    pub at_once: NonZeroUsize,
    /// Questions that a model here answers as one batch; replies do not depend on it
    #[arg(long, value_name = "N", default_value = "4")]
    pub batch: NonZeroUsize,
    /// Seconds that an endpoint may take for an answer
    #[arg(long, value_name = "SECONDS", default_value = "120")]
    pub patience: NonZeroU64,
    /// How often an endpoint is asked a question that it does not answer
    #[arg(long, value_name = "N", default_value = "5")]
    pub tries: NonZeroU32,
    /// How images are read.
    #[command(flatten)]
    pub orientation: OrientationArgs,
}

/// `--choices-by`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ChoicesBy {
    /// The model writes it.
    #[default]
    Written,
    /// The likeliest letter of the options, or of yes and no.
    Likelihood,
}

/// What `zoo eval` does besides asking.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// List the tasks
    Tasks,
    /// Validate a task against data, and show three of its prompts
    Check(CheckTaskArgs),
    /// Download the data of tasks from the Hub
    Pull(PullDataArgs),
    /// Print a task's file, to start one of your own from
    Show(ShowTaskArgs),
    /// Print the JSON schema of task files, for editors
    Schema,
}

/// `zoo eval check`.
#[derive(Debug, Args)]
pub struct CheckTaskArgs {
    /// Name or file of the task
    #[arg(value_name = "TASK")]
    pub task: String,
    /// The folder of its data
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub data: PathBuf,
}

/// `zoo eval pull`, which is `zoo pull --dataset`.
#[derive(Debug, Args)]
#[command(after_help = "\
The data are put into the folder of the task's name: links into the cache that is shared with the Python tools. What was \
interrupted goes on with the same command. `zoo pull --dataset TASKS` is the same.

Example:
  zoo eval pull cv-bench,mmvp --out data
  zoo eval --model MODEL --tasks cv-bench,mmvp --data data --out runs/mine")]
pub struct PullDataArgs {
    /// Names of tasks, or files
    #[arg(value_name = "TASKS", value_delimiter = ',', required = true)]
    pub tasks: Vec<String>,
    /// The folder with a folder for each task
    #[arg(long, value_name = "FOLDER", default_value = "data")]
    pub out: PathBuf,
}

/// `zoo eval show`.
#[derive(Debug, Args)]
pub struct ShowTaskArgs {
    /// Name of the task
    #[arg(value_name = "TASK")]
    pub task: String,
}

/// `zoo score`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  zoo score runs/mine
  zoo score runs/mine --scorer lmms-eval
  zoo score runs/mine --submission to-send/")]
pub struct ScoreArgs {
    /// The folder of a run
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Whose rules judge
    #[arg(long, value_enum, default_value_t, value_name = "WHOSE")]
    pub scorer: ScorerArg,
    /// Also let a language model judge, behind this OpenAI-compatible address; what it said is kept in the run
    #[arg(long, value_name = "ADDRESS")]
    pub grader: Option<String>,
    /// What that endpoint calls the model
    #[arg(long, value_name = "NAME", default_value = "default", requires = "grader")]
    pub grader_model: String,
    /// The variable that holds that endpoint's key
    #[arg(long, value_name = "VARIABLE", default_value = "OPENAI_API_KEY", requires = "grader")]
    pub key_env: String,
    /// Write the files for tasks that a server judges into this folder
    #[arg(long, value_name = "FOLDER")]
    pub submission: Option<PathBuf>,
    /// What becomes of files that are there.
    #[command(flatten)]
    pub overwrite: zoo_terminal::args::OverwriteArgs,
}

/// `zoo compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The folders of runs; the others are held against the first
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// Whose rules judge
    #[arg(long, value_enum, default_value_t, value_name = "WHOSE")]
    pub scorer: ScorerArg,
    /// Also write the table, as its name says: .md, .csv or .html; may be given several times
    #[arg(long, value_name = "FILE")]
    pub out: Vec<PathBuf>,
    /// What becomes of files that are there.
    #[command(flatten)]
    pub overwrite: zoo_terminal::args::OverwriteArgs,
}

/// `--scorer`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ScorerArg {
    /// The paper's rules, as its authors mean them.
    #[default]
    Paper,
    /// The paper's released code, slips included.
    Cambrian,
    /// lmms-eval.
    LmmsEval,
    /// VLMEvalKit, without a judge model.
    Vlmeval,
}

impl From<ScorerArg> for zoo_eval::score::Scorer {
    fn from(scorer: ScorerArg) -> Self {
        match scorer {
            ScorerArg::Paper => Self::Paper,
            ScorerArg::Cambrian => Self::Cambrian,
            ScorerArg::LmmsEval => Self::LmmsEval,
            ScorerArg::Vlmeval => Self::Vlmeval,
        }
    }
}
