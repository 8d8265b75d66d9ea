//! Which model, and how it is opened.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use zoo_core::Quantisation;
use zoo_host::{EncoderMemory, MemoryPolicy, ModelRequest};
use zoo_language::tokens::NewlineAfterImage;

use super::OrientationArgs;

/// The model that is asked where none is named.
pub const DEFAULT_MODEL: &str = "trilobite";

/// A model and how it is opened.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// Registry id, or a model folder: config.json, tokenizer and weights
    #[arg(long, value_name = "ID_OR_FOLDER", default_value = DEFAULT_MODEL)]
    pub model: PathBuf,
    /// Conversation template in place of the model's own; chat_template takes the Jinja of the model's folder
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// The newline between image and question: kept as in training, or dropped where the reference's evaluation
    /// drops it
    #[arg(long, value_enum, value_name = "WHAT")]
    pub newline: Option<Newline>,
    /// Hold the matrices of the language model's layers in few bits: q8_0, q6_k or q4_k
    #[arg(long, value_name = "FORMAT")]
    pub quantise: Option<Quantisation>,
    /// Load each encoder only while it looks, and the language model afterwards. Without this it is done when memory
    /// is short
    #[arg(long)]
    pub drop_encoders: bool,
    /// Most memory that may be used, in GiB; what the system has available if absent
    #[arg(long, value_name = "GIB")]
    pub memory: Option<f64>,
    /// Cut long prompts where the reference's code cuts them, instead of at the language model's limit
    #[arg(long)]
    pub reference_length: bool,
    /// How images are read.
    #[command(flatten)]
    pub orientation: OrientationArgs,
}

/// `--newline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Newline {
    /// As in training.
    Keep,
    /// As in the reference's evaluation.
    Drop,
}

impl From<Newline> for NewlineAfterImage {
    fn from(newline: Newline) -> Self {
        match newline {
            Newline::Keep => Self::Keep,
            Newline::Drop => Self::Drop,
        }
    }
}

impl ModelArgs {
    /// The same for the host.
    pub fn request(&self) -> ModelRequest {
        let limit = self.memory.map(|gib| (gib.max(0.0) * f64::from(1 << 30)) as u64);
        let encoders = if self.drop_encoders { EncoderMemory::Dropped } else { EncoderMemory::Auto };
        ModelRequest {
            model: self.model.clone(),
            template: self.template.clone(),
            newline: self.newline.map(Into::into),
            quantise: self.quantise,
            memory: MemoryPolicy { limit, encoders },
            reference_length: self.reference_length,
        }
    }
}
