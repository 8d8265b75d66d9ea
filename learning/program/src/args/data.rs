//! `zoo data`

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    /// Say what is wrong with records and images: form, speakers, tags, missing images, duplicates
    Check(CheckArgs),
    /// Make pictures of a synthetic world, with everything that is true of them
    Synth(Box<SynthArgs>),
}

/// `zoo data check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Conversations as LLaVA writes them: a JSON list, or JSONL
    #[arg(required = true)]
    pub records: Vec<PathBuf>,
    /// The folder that paths of images count from; that of the records if absent
    #[arg(long, value_name = "FOLDER")]
    pub images: Option<PathBuf>,
    /// Also decode every image
    #[arg(long)]
    pub decode: bool,
}
