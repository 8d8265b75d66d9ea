//! What can stop a run.

use std::path::{Path, PathBuf};

use zoo_host::HostError;
use zoo_registry::RegistryError;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing is trained, or no more. The message is complete: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe is wrong, with file and line.
    #[error(transparent)]
    Recipe(#[from] RegistryError),
    /// The model, or a part of it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Records that cannot be read at all, or a data set with nothing to learn from.
    #[error(transparent)]
    Data(#[from] zoo_data::Error),
    /// A checkpoint that is not there, not complete, or of another run.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The loss or its gradient is no number.
    #[error(
        "step {step}: the {what} is {value}; the last checkpoint stays. The batch: {batch}. A lower rate, a longer \
         warm-up or f32 may help; if one sample is to blame, it is among these"
    )]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// `loss` or `norm of the gradient`.
        what: &'static str,
        /// What it is.
        value: f64,
        /// The samples, as `file:line`.
        batch: String,
    },
    /// The environment speaks of several processes.
    #[error("several processes: {0}")]
    Processes(String),
    /// The file system.
    #[error("{}: {what}: {source}", path.display())]
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

impl Error {
    pub(crate) fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, what, source }
    }

    pub(crate) fn checkpoint(path: &Path, message: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.to_owned(), message: message.into() }
    }
}

impl From<zoo_core::Error> for Error {
    fn from(error: zoo_core::Error) -> Self {
        Self::Host(error.into())
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Host(error.into())
    }
}

impl From<zoo_language::Error> for Error {
    fn from(error: zoo_language::Error) -> Self {
        Self::Host(error.into())
    }
}
