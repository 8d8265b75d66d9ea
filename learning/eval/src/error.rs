//! What can go wrong while judging.

use std::path::{Path, PathBuf};

use zoo_registry::RegistryError;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something is not judged. The message is complete: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A task file is wrong, with file and line.
    #[error(transparent)]
    Task(#[from] RegistryError),
    /// Rows or pictures that cannot be read, with file and row.
    #[error(transparent)]
    Records(#[from] zoo_records::Error),
    /// The model, or a part of it.
    #[error(transparent)]
    Host(#[from] zoo_host::HostError),
    /// The Hub, or the cache of what it has.
    #[error(transparent)]
    Hub(#[from] zoo_hub::Error),
    /// There is no such task.
    #[error("there is no task `{name}`{hint}")]
    NoTask {
        /// What was asked for.
        name: String,
        /// What is near, or how to write one.
        hint: String,
    },
    /// The data of a task are not there, or not those that its file describes.
    #[error("task `{task}`: {message}")]
    Data {
        /// The task.
        task: String,
        /// What is missing, where it was looked for, and what to do.
        message: String,
    },
    /// A run that is not there, not complete, or of another model or task.
    #[error("{}: {message}", path.display())]
    Run {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// An endpoint gave no answer.
    #[error("{url}: {message}")]
    Endpoint {
        /// Its address.
        url: String,
        /// What it said or did not say.
        message: String,
    },
    /// Annotations, tables or options that cannot be meant.
    #[error("{0}")]
    Input(String),
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
}

impl Error {
    pub(crate) fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, what, source }
    }

    pub(crate) fn run(path: &Path, message: impl Into<String>) -> Self {
        Self::Run { path: path.to_owned(), message: message.into() }
    }

    pub(crate) fn data(task: &str, message: impl Into<String>) -> Self {
        Self::Data { task: task.to_owned(), message: message.into() }
    }
}
