//! What is wrong, with file, row and column.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where a row stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Spot {
    /// The line on which it begins, from 1.
    Line(u64),
    /// Its number, from 0.
    Row(u64),
    /// Its key: the stem that its files have in common.
    Key(Arc<str>),
}

/// A row of a file; shown as `file:line`, `file, row 7` or `file, key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file.
    pub path: Arc<Path>,
    /// Where in it.
    pub spot: Spot,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.spot {
            Spot::Line(line) => write!(f, "{path}:{line}"),
            Spot::Row(row) => write!(f, "{path}, row {row}"),
            Spot::Key(key) => write!(f, "{path}, `{key}`"),
        }
    }
}

/// Why something was not read or written. The message is complete: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row, or one of its values. Rows after it can still be read.
    #[error("{place}: {message}")]
    Row {
        /// Which row.
        place: Place,
        /// What is wrong with it.
        message: String,
    },
    /// A file as a whole, or from some place on.
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
}

impl Error {
    pub(crate) fn row(place: &Place, message: impl Into<String>) -> Self {
        Self::Row { place: place.clone(), message: message.into() }
    }

    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), message: message.into() }
    }

    pub(crate) fn io(path: &Path, what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, what, source }
    }
}
