//! What can go wrong between a question and its answer.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No template of that name.
    #[error("there is no conversation template `{name}`; {hint}")]
    UnknownTemplate {
        /// As asked for.
        name: String,
        /// The nearest name, or all of them.
        hint: String,
    },
    /// A conversation that cannot be rendered.
    #[error("conversation: {0}")]
    Conversation(String),
    /// A tokenizer file that cannot be used.
    #[error("{}: {message}", path.display())]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A chat template that a model folder lacks or that does not run.
    #[error("chat template of {}: {message}", path.display())]
    ChatTemplate {
        /// The file that should have it.
        path: PathBuf,
        /// What is wrong, in the template's own words where it refuses.
        message: String,
    },
    /// The tokenizer failed on a text or on ids.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A template writes special tokens that the tokenizer would cut into pieces.
    #[error(
        "template `{template}` needs {missing}, which the tokenizer does not know; \
         is it the template, or the tokenizer, of another model?"
    )]
    Mismatch {
        /// Name of the template.
        template: &'static str,
        /// The tokens, quoted, separated by commas.
        missing: String,
    },
    /// Settings out of range, or logits that leave nothing to choose from.
    #[error("sampling: {0}")]
    Sampling(String),
    /// No position is left for an answer.
    #[error(
        "the prompt takes {needed} positions (its images included), and {model} has {limit} for prompt and \
         answer together; shorten the prompt or the history"
    )]
    ContextLimit {
        /// Id of the language model.
        model: String,
        /// Length of the prompt.
        needed: usize,
        /// Longest sequence of the model.
        limit: usize,
    },
    /// From the model or a hook.
    #[error(transparent)]
    Model(#[from] zoo_core::Error),
}

impl Error {
    /// Whether nothing is wrong but that the caller lost interest: see [`zoo_core::CallContext`].
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Model(zoo_core::Error::Cancelled))
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.into())
    }
}
