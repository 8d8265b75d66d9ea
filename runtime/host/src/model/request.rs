//! What is wanted of a model.

use std::path::PathBuf;

use zoo_core::Quantisation;
use zoo_language::tokens::NewlineAfterImage;

/// A model and how to open it; whatever is absent is as the model folder says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelRequest {
    /// Registry id, or a model folder.
    pub model: PathBuf,
    /// Name of the conversation template.
    pub template: Option<String>,
    /// What happens to the first token after an image.
    pub newline: Option<NewlineAfterImage>,
    /// Quantise the matrices of the language model's layers while loading.
    pub quantise: Option<Quantisation>,
    /// How much memory there is and what may be given up for it.
    pub memory: MemoryPolicy,
    /// Cut prompts where the reference's code cuts them, at the folder's `tokenizer_model_max_length` with all image
    /// tokens, and lose their end. Otherwise only the language model's own limit holds, and is an error.
    pub reference_length: bool,
}

impl ModelRequest {
    /// The model of this id or in this folder, as it says itself.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self { model: model.into(), ..Self::default() }
    }
}

/// Limits of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// Most bytes that may be needed; what the system says is available if absent, and no limit where it does not
    /// say it.
    pub limit: Option<u64>,
    /// Whether encoders stay loaded.
    pub encoders: EncoderMemory,
}

/// Whether encoders stay loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EncoderMemory {
    /// They stay if there is memory for them.
    #[default]
    Auto,
    /// They stay beside the language model.
    Resident,
    /// Each is loaded to look, then dropped; the language model is loaded when it is first asked.
    Dropped,
}

/// What takes time when a model is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Parts are loaded.
    Open,
    /// Encoders and connector look at images.
    Look,
}

/// Follows the work of a model or of its eyes. All methods have defaults.
pub trait ModelProgress {
    /// A phase of so many parts begins.
    fn begins(&self, phase: Phase, parts: usize) {
        let _ = (phase, parts);
    }
    /// Work on the part of this name begins.
    fn part(&self, name: &str) {
        let _ = name;
    }
    /// The phase is over.
    fn ends(&self) {}
}

/// Nobody follows.
impl ModelProgress for () {}

/// A closure is told of parts.
impl<F: Fn(&str)> ModelProgress for F {
    fn part(&self, name: &str) {
        self(name);
    }
}
