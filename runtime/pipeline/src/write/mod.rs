//! Keeping results. Whatever appears under its final name is complete, and nothing is replaced that nobody said to
//! replace.

mod atomic;
mod folder;
mod listing;
mod names;
mod npy;
mod one;
mod safetensors;
mod setting;

use std::io;
use std::path::PathBuf;

use zoo_core::path_text;

use crate::look::Seen;
use crate::read::{Item, Position};
use crate::{Error, Failure};

use atomic::synced;
pub use atomic::{Replace, file, free, remove_temporaries};
pub use folder::FolderSink;
pub use names::unique;
pub use npy::{npy_header, write_npy};
pub use one::{Form, OneFile, Opening};
pub use safetensors::{MAX_HEADER, Plain, TensorOut, write_safetensors};
pub use setting::{Existing, Setting};

/// Why something could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file system.
    #[error("{}: cannot write: {source}", path_text(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is something of this name already.
    #[error("{}", there(paths))]
    There {
        /// What is there.
        paths: Vec<PathBuf>,
    },
    /// A run of which nobody knows whether it is to be continued.
    #[error(
        "{}: an earlier run was not finished; --resume goes on with it, --overwrite begins anew",
        path_text(path)
    )]
    Unfinished {
        /// What it left.
        path: PathBuf,
    },
    /// What is there was made in another way, so it cannot be continued.
    #[error("{}: cannot be continued: {what}; --overwrite begins anew", path_text(path))]
    Other {
        /// What is there.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// Another run is writing here.
    #[error("{}: another run is writing here", path_text(path))]
    Busy {
        /// What it writes.
        path: PathBuf,
    },
    /// A row of another shape than those before it.
    #[error(
        "its `{name}` is {shape:?}, but that of the images before is {before:?}; one file holds one shape, a folder \
         (--out FOLDER/) takes any"
    )]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// That of the rows before.
        before: Vec<usize>,
    },
    /// A file that the format cannot hold.
    #[error("{}: {what}", path_text(path))]
    Format {
        /// The file.
        path: PathBuf,
        /// Which limit, and what to do.
        what: String,
    },
}

fn there(paths: &[PathBuf]) -> String {
    match paths {
        [] => "nothing is there".into(),
        [one] if one.is_dir() => format!("{}: this is a folder", path_text(one)),
        [one] => format!("{}: this file is there already; --overwrite replaces it", path_text(one)),
        [first, ..] => format!(
            "{} of the files to be written are there already, the first is {}; --overwrite replaces them",
            paths.len(),
            path_text(first)
        ),
    }
}

impl WriteError {
    /// Of the file at `path`.
    pub fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// Whether it is about this one output, so that those of other images may well be written. Everything else ends a
    /// run: a disk that is full for one file is full for all.
    pub fn is_of_one_output(&self) -> bool {
        use io::ErrorKind as Kind;
        match self {
            Self::There { .. } | Self::Shape { .. } | Self::Format { .. } => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                Kind::AlreadyExists
                    | Kind::IsADirectory
                    | Kind::NotADirectory
                    | Kind::DirectoryNotEmpty
                    | Kind::InvalidFilename
                    | Kind::InvalidInput
                    | Kind::PermissionDenied
                    | Kind::FileTooLarge
            ),
            Self::Unfinished { .. } | Self::Other { .. } | Self::Busy { .. } => false,
        }
    }
}

/// Where results go.
pub trait Sink {
    /// The first row that is still wanted: those before are kept already.
    fn start(&self) -> Position {
        Position::default()
    }

    /// Whether anything of the input with this number is still wanted.
    fn wants(&self, _input: usize) -> bool {
        true
    }

    /// Keeps the rows of a batch, and gives back those that could not be kept while others can, with their places in
    /// the batch.
    ///
    /// # Errors
    /// [`WriteError`] when nothing more can be kept. Rows are kept whole or not at all.
    fn put(&mut self, items: &[Item], seen: Seen) -> Result<Vec<(usize, Failure)>, WriteError>;

    /// Is told of an input, or of one row of it, that gave nothing.
    ///
    /// # Errors
    /// As [`Sink::put`].
    fn failed(&mut self, _input: usize, _row: Option<usize>, _failure: &Failure) -> Result<(), WriteError> {
        Ok(())
    }
}

/// A failure of the output of `item`, or the end of the run.
fn sort(error: WriteError, item: &Item) -> Result<Failure, WriteError> {
    if error.is_of_one_output() {
        Ok(Failure::new(item.name.clone(), Error::Write(error)))
    } else {
        Err(error)
    }
}
