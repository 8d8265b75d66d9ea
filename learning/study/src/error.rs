//! What can stop a study.

use std::path::{Path, PathBuf};

use zoo_host::HostError;
use zoo_registry::RegistryError;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a study does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is wrong, with lines.
    #[error(transparent)]
    Plan(#[from] RegistryError),
    /// A stage of training.
    #[error("{stage}: {source}")]
    Train {
        /// The stage.
        stage: String,
        /// Why.
        source: Box<zoo_train::Error>,
    },
    /// An upbringing.
    #[error("{stage}: {source}")]
    Pretrain {
        /// The stage.
        stage: String,
        /// Why.
        source: Box<zoo_pretrain::Error>,
    },
    /// Judging.
    #[error("{stage}: {source}")]
    Eval {
        /// The stage.
        stage: String,
        /// Why.
        source: Box<zoo_eval::Error>,
    },
    /// Drawing the world.
    #[error(transparent)]
    World(#[from] zoo_world::Error),
    /// The program cannot be opened, or a model.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Something that is needed is not there or not as it should be.
    #[error("{}: {message}", path.display())]
    Input {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        message: String,
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

    pub(crate) fn input(path: &Path, message: impl Into<String>) -> Self {
        Self::Input { path: path.to_owned(), message: message.into() }
    }

    pub(crate) fn train(stage: &str) -> impl FnOnce(zoo_train::Error) -> Self {
        let stage = stage.to_owned();
        move |source| Self::Train { stage, source: Box::new(source) }
    }

    pub(crate) fn pretrain(stage: &str) -> impl FnOnce(zoo_pretrain::Error) -> Self {
        let stage = stage.to_owned();
        move |source| Self::Pretrain { stage, source: Box::new(source) }
    }

    pub(crate) fn eval(stage: &str) -> impl FnOnce(zoo_eval::Error) -> Self {
        let stage = stage.to_owned();
        move |source| Self::Eval { stage, source: Box::new(source) }
    }
}
