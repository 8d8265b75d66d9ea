//! `zoo train`

use std::path::PathBuf;

use clap::Args;

/// `zoo train`.
#[derive(Debug, Args)]
#[command(after_help = "\
The recipe names the model to start from, the data, what is trained and at which rates; docs/training.md describes it. \
Ctrl-C ends the run after the step at hand and writes a checkpoint. `zoo ask --model OUT` answers from the first \
checkpoint on.

Examples:
  zoo train stage1.toml --dry-run
  zoo train stage1.toml
  zoo train stage1.toml --resume")]
pub struct TrainArgs {
    /// The recipe
    #[arg(value_name = "RECIPE.toml")]
    pub recipe: PathBuf,
    /// Go on from the last checkpoint in the recipe's folder, to the very bytes of a run that was not cut off
    #[arg(long)]
    pub resume: bool,
    /// Measure three steps, say what the run would cost, and write nothing
    #[arg(long, conflicts_with = "resume")]
    pub dry_run: bool,
}
