//! What went wrong with one input, while the others go on.

use crate::find::FindError;
use crate::look::LookError;
use crate::read::ReadError;
use crate::write::WriteError;

/// Why an input gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It led to no file.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was read could not be computed with.
    #[error(transparent)]
    Look(#[from] LookError),
    /// Its output could not be written, and those of others can.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What an earlier run, which this one continues, had to say of it.
    #[error("{0}")]
    Earlier(String),
}

/// An input that gave nothing, and why.
#[derive(Debug)]
pub struct Failure {
    /// As typed, or the file that it led to: [`zoo_core::path_text`].
    pub input: String,
    /// What went wrong.
    pub error: Error,
}

impl Failure {
    /// A failure of `input`.
    pub fn new(input: impl Into<String>, error: impl Into<Error>) -> Self {
        Self { input: input.into(), error: error.into() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let error = self.error.to_string();
        // Most messages begin with the file already.
        if error.contains(&self.input) { f.write_str(&error) } else { write!(f, "{}: {error}", self.input) }
    }
}
