//! What becomes of what is there already.

use clap::Args;
use zoo_pipeline::write::Replace;

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct OverwriteArgs {
    /// Replace what is there already
    #[arg(long)]
    pub overwrite: bool,
}

impl OverwriteArgs {
    /// The same for the writers.
    pub fn replace(self) -> Replace {
        if self.overwrite { Replace::Always } else { Replace::Never }
    }
}
