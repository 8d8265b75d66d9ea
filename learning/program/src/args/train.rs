//! `zoo train`

use std::path::PathBuf;

use clap::Args;
use zoo_terminal::args::OverwriteArgs;

/// `zoo train`.
#[derive(Debug, Args)]
#[command(after_help = "\
The recipe names the model to start from, the data, what is trained and at which rates; docs/training.md describes it. \
Ctrl-C ends the run after the step at hand and writes a checkpoint. `zoo ask --model OUT` answers from the first \
checkpoint on. Started several times by torchrun, srun or the like (WORLD_SIZE, RANK, MASTER_ADDR, MASTER_PORT), the \
processes share the batches of each step.

Examples:
  zoo train stage1.toml --dry-run
  zoo train stage1.toml
  zoo train stage1.toml --resume
  torchrun --nproc-per-node 4 --no-python zoo train stage1.toml --threads 8")]
pub struct TrainArgs {
    /// The recipe
    #[arg(value_name = "RECIPE.toml")]
    pub recipe: PathBuf,
    /// Go on from the last checkpoint in the recipe's folder, to the very bytes of a run that was not cut off
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Measure three steps, say what the run would cost, and write nothing
    #[arg(long, conflicts_with_all = ["resume", "overwrite"])]
    pub dry_run: bool,
    /// What becomes of an earlier run in the recipe's folder.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}
