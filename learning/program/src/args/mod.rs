//! What was typed. Nothing here touches the disk; what it means is decided by the commands.

mod bench;
mod data;
mod eval;
mod pretrain;
mod study;
mod synth;
mod train;

use clap::{Parser, Subcommand};
use zoo_terminal::args::Global;

pub use bench::{AnalyseArgs, BuildArgs, CvBenchArgs, CvBenchCommand, FinishArgs};
pub use data::{
    By, CheckArgs, ConvertArgs, CurateArgs, DataArgs, DataCommand, DedupArgs, EngineArgs, HashArg, InputArgs,
    InspectArgs, LeakArgs, MixArgs, PromptArgs, SameArgs, SplitArgs, TargetArgs,
};
pub use eval::{
    CheckTaskArgs, ChoicesBy, CompareArgs, EvalArgs, EvalCommand, PullDataArgs, ScoreArgs, ScorerArg,
    ShowTaskArgs,
};
pub use pretrain::PretrainArgs;
pub use study::StudyArgs;
pub use synth::SynthArgs;
pub use train::TrainArgs;

/// Train models, judge them, and look after data.
#[derive(Debug, Parser)]
#[command(
    name = "zoo",
    bin_name = "zoo",
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

/// The commands. `zoo` names each of them, with the same line of help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train the connector or the whole of a model on conversations about images
    Train(TrainArgs),
    /// Bring up a small vision encoder, from nothing, on a synthetic world
    Pretrain(PretrainArgs),
    /// Look at, check, curate, mix, convert and compare data for training
    Data(DataArgs),
    /// Ask a model the questions of benchmarks, and keep its replies
    Eval(Box<EvalArgs>),
    /// Judge the replies of a run, by the rules of any harness
    Score(ScoreArgs),
    /// Hold runs against each other
    Compare(CompareArgs),
    /// Build questions as those of CV-Bench from annotated pictures
    CvBench(CvBenchArgs),
    /// Train and judge every combination of a study, and report what sees best
    Study(StudyArgs),
    /// Draw what scores say about benchmarks and encoders
    Analyse(AnalyseArgs),
}
