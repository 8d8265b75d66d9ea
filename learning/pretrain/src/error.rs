//! What can stop an upbringing.

use std::path::{Path, PathBuf};

use zoo_registry::RegistryError;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing is learnt, or no more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recipe is wrong, with file and line.
    #[error(transparent)]
    Recipe(#[from] RegistryError),
    /// Optimiser, checkpoints or logs.
    #[error(transparent)]
    Train(#[from] zoo_train::Error),
    /// The encoder, or a tensor.
    #[error(transparent)]
    Core(#[from] zoo_core::Error),
    /// A picture.
    #[error(transparent)]
    Picture(#[from] zoo_preprocess::Error),
    /// The loss is no number.
    #[error(
        "step {step}: the {what} is {value}; a lower rate or a longer warm-up may help. The last checkpoint stays"
    )]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// `loss` or `norm of the gradient`.
        what: &'static str,
        /// What it is.
        value: f64,
    },
    /// The folder holds something else.
    #[error("{}: {message}", path.display())]
    There {
        /// The folder.
        path: PathBuf,
        /// What it holds, and what to do.
        message: &'static str,
    },
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
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Core(error.into())
    }
}
