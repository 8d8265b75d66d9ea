//! From what was named to a list of files: files, folders and patterns, in an order that is the same on every machine.
//!
//! A folder is searched for images, and the contents of a file decide whether it is one. What was passed over is told,
//! with the reason.

mod glob;
mod kind;
mod list;
mod walk;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use zoo_core::path_text;

use crate::Failure;

pub use kind::{Contents, has_image_name};
pub use list::{ListError, list};

/// One input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file; `-` is standard input.
    pub path: PathBuf,
    /// Its name in outputs: the path below the folder, or below the fixed part of the pattern, that it was found in.
    pub name: PathBuf,
    /// What it holds.
    pub contents: Contents,
}

impl Input {
    /// A file that is named itself.
    pub fn file(path: impl Into<PathBuf>, contents: Contents) -> Self {
        let path = path.into();
        let name = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
        Self { path, name, contents }
    }
}

/// Files that were there and were not taken, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Why, in words about one of them.
    pub reason: String,
    /// Which, in the order in which they were met.
    pub paths: Vec<PathBuf>,
}

/// What names stand for.
#[derive(Debug, Default)]
pub struct Found {
    /// The files, in the order of the names; sorted by path within a folder or pattern.
    pub inputs: Vec<Input>,
    /// Names that lead to nothing, and what could not be looked into on the way.
    pub failures: Vec<Failure>,
    /// What was not taken, one entry per reason.
    pub passed: Vec<Passed>,
}

impl Found {
    /// Adds what else was found.
    pub fn append(&mut self, other: Self) {
        self.inputs.extend(other.inputs);
        self.failures.extend(other.failures);
        for Passed { reason, paths } in other.passed {
            paths.into_iter().for_each(|path| self.pass(path, reason.clone()));
        }
    }

    fn pass(&mut self, path: PathBuf, reason: impl Into<String>) {
        let reason = reason.into();
        match self.passed.iter_mut().find(|passed| passed.reason == reason) {
            Some(passed) => passed.paths.push(path),
            None => self.passed.push(Passed { reason, paths: vec![path] }),
        }
    }

    fn fail(&mut self, path: impl AsRef<OsStr>, error: FindError) {
        self.failures.push(Failure::new(path_text(&path), error));
    }
}

/// Why a name led to nothing.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// There is nothing of this name.
    #[error("no such file or folder")]
    Missing,
    /// The fixed part of a pattern is no folder.
    #[error("there is no folder {0}")]
    NoFolder(String),
    /// The system's answer.
    #[error("cannot look into it: {0}")]
    Io(#[from] std::io::Error),
    /// A link that leads nowhere.
    #[error("this link leads nowhere")]
    Dangling,
    /// A folder without an image.
    #[error("no images in this folder")]
    NoImages,
    /// A pattern that nothing matches.
    #[error("no file matches this pattern")]
    NoMatch,
    /// A pattern that is none.
    #[error("this is no pattern: {0}")]
    Pattern(String),
}

/// Every file that `names` stand for: files, folders, patterns (`*.{png,webp}`, `**/*.jpg`), and `-` for an image on
/// standard input.
pub fn find<N: AsRef<OsStr>>(names: &[N]) -> Found {
    let mut found = Found::default();
    for name in names {
        let path = Path::new(name);
        match literal(path, &mut found) {
            Err(FindError::Missing) if glob::is_pattern(path) => glob::find(path, &mut found),
            Err(error) => found.fail(path, error),
            Ok(()) => {}
        }
    }
    found
}

/// [`find`] for names in which `*`, `?`, `[` and `{` are letters like others, as those of a list.
pub fn find_literal(names: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for name in names {
        if let Err(error) = literal(name, &mut found) {
            found.fail(name, error);
        }
    }
    found
}

fn literal(path: &Path, found: &mut Found) -> Result<(), FindError> {
    if path == Path::new("-") {
        found.inputs.push(Input { path: "-".into(), name: "stdin".into(), contents: Contents::Image });
        return Ok(());
    }
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // The link itself may be there.
            let dangling = path.symlink_metadata().is_ok();
            return Err(if dangling { FindError::Dangling } else { FindError::Missing });
        }
        Err(error) => return Err(error.into()),
    };
    if metadata.is_dir() {
        return walk::images(path, found);
    }
    // Pipes and the like cannot be looked into without taking from them.
    let contents = if metadata.is_file() { Contents::of(path) } else { Contents::Image };
    found.inputs.push(Input::file(path, contents));
    Ok(())
}

#[cfg(test)]
mod tests;
