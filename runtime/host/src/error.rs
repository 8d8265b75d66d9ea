//! What an application sees when something goes wrong.

use std::path::{Path, PathBuf};

/// Errors of the host. The message is complete: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The registry files are wrong.
    #[error(transparent)]
    Registry(#[from] zoo_registry::RegistryError),
    /// No row of this name.
    #[error(transparent)]
    Lookup(#[from] zoo_registry::LookupError),
    /// A plugin could not be found, trusted or loaded.
    #[error(transparent)]
    Plugin(#[from] crate::plugins::PluginError),
    /// A download failed, or was not allowed.
    #[error(transparent)]
    Hub(#[from] zoo_hub::Error),
    /// An image could not be decoded or prepared.
    #[error(transparent)]
    Image(#[from] zoo_preprocess::Error),
    /// An encoder, connector or their weights.
    #[error(transparent)]
    Core(#[from] zoo_core::Error),
    /// A model folder.
    #[error(transparent)]
    Release(#[from] zoo_release::Error),
    /// A prompt, a tokenizer or an answer.
    #[error(transparent)]
    Language(#[from] zoo_language::Error),
    /// A model that the program carries with it.
    #[error(transparent)]
    Shipped(#[from] zoo_models::Error),
    /// A conversation that this model does not know how to have.
    #[error("{0}")]
    Conversation(String),
    /// More memory is needed than there is.
    #[error("{0}")]
    Memory(String),
    /// Weights that are not on this machine.
    #[error("{0}")]
    WeightsMissing(String),
    /// A registry row and the plugin that it names disagree.
    #[error("{0}")]
    Mismatch(String),
    /// Numbers that are none.
    #[error(
        "{what} hold {value}; the model overflowed (try bf16 or f32 instead of f16) or its weights are damaged"
    )]
    NotFinite {
        /// The numbers: "the features of ...".
        what: String,
        /// The first that is none.
        value: f32,
    },
    /// The device that was asked for.
    #[error("{0}")]
    Device(String),
    /// The file system.
    #[error("{path}: {what}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A broken promise inside the program.
    #[error("internal: {0}")]
    Internal(String),
}

impl HostError {
    /// Whether nothing is wrong but that the caller lost interest: see [`zoo_core::CallContext`].
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Core(error) => matches!(error, zoo_core::Error::Cancelled),
            Self::Language(error) => error.is_cancelled(),
            _ => false,
        }
    }

    pub(crate) fn io(path: &Path, what: &'static str, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), what, source }
    }
}

impl From<candle_core::Error> for HostError {
    fn from(error: candle_core::Error) -> Self {
        Self::Core(error.into())
    }
}
