//! What can be wrong with a model folder.

use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong, in which file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No folder, or one that is no model.
    #[error("{}: {message}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        message: String,
    },
    /// A file that cannot be read, or says something that cannot be meant.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A `zoo.toml` that cannot be read, with its lines.
    #[error(transparent)]
    Toml(#[from] zoo_registry::RegistryError),
    /// A tower or a language model that no registry row knows.
    #[error("{}: {source}", path.display())]
    Lookup {
        /// The file that names it.
        path: PathBuf,
        /// The nearest names.
        source: zoo_registry::LookupError,
    },
    /// A connector that no registry row knows.
    #[error("{}: `mm_projector_type`: {source}", path.display())]
    Projector {
        /// The file that names it.
        path: PathBuf,
        /// The types that are known.
        source: zoo_registry::LookupError,
    },
    /// Nothing tells the conversation template.
    #[error(
        "{}: nothing here tells the conversation template, and a wrong one costs many points without being \
         noticed; write `template = \"NAME\"` into a zoo.toml beside config.json, or give --template NAME. \
         There are {}", path.display(), known.join(", ")
    )]
    Template {
        /// The folder.
        path: PathBuf,
        /// All templates.
        known: Vec<&'static str>,
    },
    /// A template of an unknown name.
    #[error(transparent)]
    Language(#[from] zoo_language::Error),
    /// Weight files.
    #[error(transparent)]
    Core(#[from] zoo_core::Error),
}

impl Error {
    pub(crate) fn file(path: &Path, message: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), message: message.into() }
    }
}
