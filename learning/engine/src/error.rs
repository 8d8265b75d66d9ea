//! Why the engine stops.

use std::path::{Path, PathBuf};

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the engine stops. What was made before stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the user's, or of a stage, that is not what it should be.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
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
    /// Tables that cannot be read or written.
    #[error(transparent)]
    Rows(#[from] zoo_records::Error),
    /// A server that does not answer, or not as it should, however often it is asked.
    #[error("{url}: {why}")]
    Remote {
        /// What was asked.
        url: String,
        /// What came of it.
        why: String,
    },
    /// The model does not answer at all, or will not answer whoever asks so: there is no use in asking it anything else.
    #[error("{url}: {why}; what was made stays, and the next run goes on from there")]
    Model {
        /// What was asked.
        url: String,
        /// What came of it.
        why: String,
    },
    /// Something that will not be asked for: a private address, or what robots.txt forbids.
    #[error("{url}: {why}")]
    Refused {
        /// What was asked.
        url: String,
        /// Why not.
        why: String,
    },
    /// Everything that the plan allows was used.
    #[error(
        "the budget of {limit} {what} is used up; what was made stays, and a run with a larger one goes on"
    )]
    Budget {
        /// `requests` or `tokens`.
        what: &'static str,
        /// How many the plan allows.
        limit: u64,
    },
    /// Certificates that cannot be used.
    #[error("{0}")]
    Network(String),
    /// Sockets are not to be opened.
    #[error("{0} needs the network, and --offline forbids it")]
    Offline(String),
    /// Somebody ended the run.
    #[error("stopped; what was made stays, and the next run goes on from there")]
    Stopped,
}

impl Error {
    pub(crate) fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, what, source }
    }

    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), message: message.into() }
    }

    /// Whether this is about one thing, and the others can still be made.
    pub(crate) fn is_of_one(&self) -> bool {
        matches!(self, Self::Remote { .. } | Self::Refused { .. } | Self::File { .. } | Self::Rows(_))
    }
}
