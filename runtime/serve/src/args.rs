//! What was typed. Nothing here touches the disk.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Parser, Subcommand};
use zoo_terminal::args::{Global, ModelArgs};

/// Answer questions about images, and give what encoders see of them, over HTTP.
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

/// The commands. `zoo` names each of them, with the same line of help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer questions about images, and give what encoders see of them, over HTTP
    Serve(Box<ServeArgs>),
}

/// `zoo serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The interface is OpenAI's (/v1/chat/completions, /v1/embeddings, /v1/models) and one of its own (/v1/features); / is a page \
to try it. Pictures come inside requests; the server fetches nothing. docs/serving.md has a tour.

Examples:
  zoo serve
  zoo serve --model cambrian-8b --dtype bf16 --encoder clip-vit-l-14-336 --port 8000
  zoo serve --no-model --encoder dinov2-vit-l-14 --batch 32")]
pub struct ServeArgs {
    /// Which model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Serve encoders alone
    #[arg(long)]
    pub no_model: bool,
    /// An encoder; may be given several times
    #[arg(long, value_name = "ID")]
    pub encoder: Vec<String>,
    /// An ensemble; may be given several times
    #[arg(long, value_name = "ID")]
    pub ensemble: Vec<String>,
    /// The address to listen on; 0.0.0.0 for all of this machine's
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// The port to listen on; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// What clients must bring as `Authorization: Bearer KEY`; better from the environment than from a command line
    #[arg(long, env = "ZOO_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Most pictures in one pass of an encoder
    #[arg(long, value_name = "N", default_value = "8")]
    pub batch: NonZeroUsize,
    /// Milliseconds for which a picture waits for others to be looked at with
    #[arg(long, value_name = "MS", default_value_t = 5)]
    pub gather: u64,
    /// Requests that may wait, for the model and for each encoder; more are told to come again
    #[arg(long, value_name = "N", default_value = "256")]
    pub queue: NonZeroUsize,
    /// Most tokens that are written for a request
    #[arg(long, value_name = "N", default_value = "2048")]
    pub max_tokens: NonZeroUsize,
    /// Most pictures in a request
    #[arg(long, value_name = "N", default_value = "64")]
    pub max_pictures: NonZeroUsize,
    /// Most MiB in a request
    #[arg(long, value_name = "MIB", default_value = "32")]
    pub max_body: NonZeroUsize,
    /// Seconds that a request may take until its answer begins
    #[arg(long, value_name = "S", default_value = "300")]
    pub timeout: NonZeroUsize,
    /// Seconds that answers have to end when the server is told to
    #[arg(long, value_name = "S", default_value_t = 30)]
    pub grace: u64,
}

impl ServeArgs {
    /// How long answers have to end.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace)
    }
}
