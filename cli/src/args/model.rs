//! Arguments of the commands that ask a model.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use zoo_language::generate::Options;

use super::list::Item;
use super::{ModelArgs, OverwriteArgs};

/// How an answer is written; whatever is absent is as the model's folder says.
#[derive(Debug, Clone, Default, Args)]
pub struct AnswerArgs {
    /// Most tokens to write
    #[arg(long, value_name = "N")]
    pub max_new_tokens: Option<usize>,
    /// 0 always takes the most probable token; higher draws more freely
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// Draw from the fewest tokens whose probabilities reach P
    #[arg(long, value_name = "P")]
    pub top_p: Option<f64>,
    /// Draw from the K most probable tokens
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Draw from tokens at least P times as probable as the most probable one
    #[arg(long, value_name = "P")]
    pub min_p: Option<f64>,
    /// Make tokens that were written before less probable: above 1
    #[arg(long, value_name = "R")]
    pub repetition_penalty: Option<f64>,
    /// Seed of the drawing
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl AnswerArgs {
    /// Puts what was said over `options`.
    pub fn over(&self, mut options: Options) -> Options {
        let sampling = &mut options.sampling;
        sampling.temperature = self.temperature.unwrap_or(sampling.temperature);
        sampling.top_p = self.top_p.or(sampling.top_p);
        sampling.top_k = self.top_k.or(sampling.top_k);
        sampling.min_p = self.min_p.or(sampling.min_p);
        sampling.repetition_penalty = self.repetition_penalty.unwrap_or(sampling.repetition_penalty);
        sampling.seed = self.seed.unwrap_or(sampling.seed);
        options.max_new_tokens = self.max_new_tokens.unwrap_or(options.max_new_tokens);
        options
    }

    /// A setting that only means something when tokens are drawn, while greedy search is asked for.
    pub fn idle(&self) -> Option<&'static str> {
        if self.temperature.is_some_and(|t| t > 0.0) {
            return None;
        }
        let settings = [
            ("--top-p", self.top_p.is_some()),
            ("--top-k", self.top_k.is_some()),
            ("--min-p", self.min_p.is_some()),
        ];
        settings.into_iter().find_map(|(name, there)| there.then_some(name))
    }
}

/// What the commands that let a model answer share.
#[derive(Debug, Args)]
pub struct TalkArgs {
    /// Instructions in place of the template's own
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// How the answer is written.
    #[command(flatten)]
    pub answer: AnswerArgs,
    /// Which model.
    #[command(flatten)]
    pub model: ModelArgs,
}

/// `zoo ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// Image files, folders or globs, or `-` for one on standard input, then the question; each image is asked about by
    /// itself
    #[arg(required = true, value_name = "IMAGE... QUESTION")]
    pub inputs: Vec<OsString>,
    /// There is no image: everything is the question, whatever it looks like
    #[arg(long)]
    pub text_only: bool,
    /// Choose the most probable of these answers instead of writing one: A,B,C
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = Item(String::from_str), conflicts_with_all = ["beams", "max_new_tokens"])]
    pub choices: Vec<String>,
    /// Follow this many answers at once and give the most probable one
    #[arg(long, value_name = "N", conflicts_with = "temperature")]
    pub beams: Option<usize>,
    /// Who is asked, and how.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// `zoo chat`.
#[derive(Debug, Args)]
pub struct ChatArgs {
    /// The image to talk about; another one can be shown later
    pub image: Option<PathBuf>,
    /// What becomes of a file that /save names and that is there already.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
    /// Who is asked, and how.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// `zoo explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The image; `-` for one on standard input
    pub image: PathBuf,
    /// The question
    pub question: String,
    /// The picture to write
    #[arg(long, short, value_name = "FILE.png")]
    pub out: PathBuf,
    /// What becomes of what is there already.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
    /// Who is asked, and how.
    #[command(flatten)]
    pub talk: TalkArgs,
}

/// `zoo trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The image, or `-` for one on standard input, then the question; the image is put before it
    #[arg(required = true, num_args = 1..=2, value_name = "IMAGE QUESTION")]
    pub inputs: Vec<OsString>,
    /// There is no image, the question stands alone
    #[arg(long)]
    pub text_only: bool,
    /// Instructions in place of the template's own
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Which model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The file to write: `input_ids`, `image_tokens`, `logits`, `generated`
    #[arg(long, short, value_name = "OUT.safetensors")]
    pub out: PathBuf,
    /// What becomes of what is there already.
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}
