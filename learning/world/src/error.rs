//! What can stop the making of a set.

use std::path::{Path, PathBuf};

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why no set is written, or none is read. The message is complete: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something has the name already.
    #[error("{} is there already; choose another folder, or replace it with --overwrite", .0.display())]
    There(PathBuf),
    /// Something else has the name.
    #[error("{} is no set of the world, so it is not replaced; choose another folder", .0.display())]
    Other(PathBuf),
    /// An earlier run was cut off.
    #[error(
        "{} was begun and not finished ({} holds it); --resume goes on, --overwrite begins anew",
        out.display(), partial.display()
    )]
    Unfinished {
        /// The folder that was asked for.
        out: PathBuf,
        /// Where the beginning is.
        partial: PathBuf,
    },
    /// Nothing was begun.
    #[error("{}: nothing was begun there that could be continued; leave out --resume", .0.display())]
    NothingBegun(PathBuf),
    /// What was begun is another set.
    #[error("{}: this was begun with other settings ({what}); give the same ones, or --overwrite", path.display())]
    Differs {
        /// The settings' file.
        path: PathBuf,
        /// Which ones.
        what: String,
    },
    /// Nothing was asked for, or too much.
    #[error("{0}")]
    Plan(String),
    /// A file that is none of a set's.
    #[error("{}: {message}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Two splits have something in common, or a scene stands where it does not belong.
    #[error("{}: {message}", path.display())]
    Leak {
        /// The set.
        path: PathBuf,
        /// What.
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

    pub(crate) fn read(path: &Path, message: impl ToString) -> Self {
        Self::Read { path: path.to_owned(), message: message.to_string() }
    }
}
