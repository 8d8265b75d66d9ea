//! An index of pictures: one vector each, kept in a folder, to which new pictures are added and in which the nearest to a
//! vector are found.
//!
//! **The one decision.** Search is exact: all vectors are read once, in blocks, and multiplied with the question. A million
//! vectors of 768 numbers are 3 GB, which a machine that keeps them in its page cache reads in about a second; a graph of
//! neighbours would be faster, would miss some, would be as large again, and would have to be built anew where pictures
//! leave. What is on disk is therefore two plain files: `index.json`, which says how the vectors were made and of which
//! pictures, in order, and little-endian f32 rows in the file that it names. The first is replaced in one step, and rows
//! that it does not count are not there: an index that was being written to when the power went is the one before.

mod nearest;
mod store;

use std::path::PathBuf;

use zoo_core::path_text;

use crate::WriteError;

pub use nearest::Hit;
pub use store::{Adding, Changes, Index};

/// Why an index could not be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Vectors of another encoder, or made in another way.
    #[error(
        "{}: this index was made in another way: {what}; --rebuild makes it anew, --index takes another folder",
        path_text(path)
    )]
    Other {
        /// Its folder.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// What is there is no index, or a damaged one.
    #[error("{}: {what}; --rebuild makes it anew", path_text(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another program is adding to it.
    #[error("{}: another program is writing to this index", path_text(path))]
    Busy {
        /// Its folder.
        path: PathBuf,
    },
    /// A vector of another width than those that are there.
    #[error("a vector of {got} numbers, where those of the index have {width}")]
    Width {
        /// Of the vector.
        got: usize,
        /// Of the index.
        width: usize,
    },
    /// Nothing could be kept.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl IndexError {
    fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Write(WriteError::io(path, source))
    }
}
