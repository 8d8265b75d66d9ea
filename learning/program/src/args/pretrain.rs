//! `zoo pretrain`

use std::path::PathBuf;

use clap::Args;

/// `zoo pretrain`.
#[derive(Debug, Args)]
#[command(after_help = "\
The recipe names the encoder, what it is asked (labels, contrast, views, masked, depth or segments) and for how long; \
docs/pretraining.md describes it. Pictures are drawn while it learns. The folder that it makes has model.safetensors \
and a registry.toml with the encoder's row. Ctrl-C ends the run after the step at hand and writes a checkpoint.

Examples:
  zoo pretrain labels.toml --dry-run
  zoo pretrain labels.toml
  zoo pretrain labels.toml --resume
  zoo encode photo.jpg --encoder world-labels --registry world-labels/registry.toml --out features.safetensors")]
pub struct PretrainArgs {
    /// The recipe
    #[arg(value_name = "RECIPE.toml")]
    pub recipe: PathBuf,
    /// Go on from the last checkpoint in the recipe's folder, to the very bytes of a run that was not cut off
    #[arg(long)]
    pub resume: bool,
    /// Measure three steps, say what the run would cost, and write nothing
    #[arg(long, conflicts_with = "resume")]
    pub dry_run: bool,
    /// Training pictures from which a linear probe learns at the end, a third as many held-out ones ask it; 0 for none
    #[arg(long, value_name = "PICTURES", default_value_t = 1500)]
    pub probe: u64,
}
