//! Why a job over data gave up.

use std::path::{Path, PathBuf};

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a job over data gave up. The message is complete: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Records that cannot be read at all, a data set with nothing to learn from, or a recipe that cannot be meant.
    #[error("{}: {message}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Rows that cannot be read or written.
    #[error(transparent)]
    Rows(#[from] zoo_records::Error),
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
    /// A picture that cannot be used.
    #[error("{0}")]
    Picture(String),
    /// A tokenizer that cannot be used.
    #[error("{0}")]
    Tokenizer(String),
    /// Somebody ended the job.
    #[error("stopped; nothing half-written is left")]
    Stopped,
    /// A broken promise inside the program.
    #[error("internal: {0}")]
    Internal(String),
}

impl Error {
    pub(crate) fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, what, source }
    }

    /// Of a file without a record.
    pub(crate) fn empty(path: &Path) -> Self {
        Self::data(path, "there is no record here; each is one JSON object")
    }

    pub(crate) fn data(path: &Path, message: impl Into<String>) -> Self {
        Self::Data { path: path.to_owned(), message: message.into() }
    }
}
