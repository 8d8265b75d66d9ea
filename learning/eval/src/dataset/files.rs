//! The files of a task's data.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::task::Task;
use crate::{Error, Result};

pub(crate) fn listed(patterns: &[&str]) -> String {
    patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(" or ")
}

pub(super) fn missing(task: &Task, folder: &Path, patterns: &[&str]) -> String {
    let source = &task.spec.source;
    let place = match (&source.hub, &source.split) {
        (Some(hub), Some(split)) => {
            format!(" They are the split `{split}` of the data set {hub} on the Hub.")
        }
        (Some(hub), None) => format!(" They are in the data set {hub} on the Hub."),
        _ => String::new(),
    };
    let pull = match &source.hub {
        Some(_) => format!(", or download them with `zoo pull --dataset {}`", task.name()),
        None => String::new(),
    };
    format!(
        "no data: nothing in {} matches {}.{place} Give their folder with --data{pull}",
        folder.display(),
        listed(patterns)
    )
}

/// The files below `folder` that the patterns choose.
pub(super) fn found(folder: &Path, patterns: &[&str]) -> Result<Vec<PathBuf>> {
    let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name();
    let below = |path: PathBuf| path.strip_prefix(folder).map(Path::to_owned).ok();
    let files: Vec<PathBuf> = walk
        .into_iter()
        .filter_map(std::result::Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| below(entry.into_path()))
        .collect();
    Ok(chosen(&files, patterns)?.iter().map(|path| folder.join(path)).collect())
}

/// The tables among `files` that match the first pattern that any matches, by their path or, where they lie loose, by
/// their name. `a+b` is both. Of files in several forms those in one form are taken, Parquet before others.
pub(crate) fn chosen(files: &[PathBuf], patterns: &[&str]) -> Result<Vec<PathBuf>> {
    let readable = |path: &&PathBuf| zoo_records::Form::of(path).is_some();
    let matching = |pattern: &str| -> Result<Vec<PathBuf>> {
        let glob: GlobMatcher = GlobBuilder::new(pattern)
            .literal_separator(false)
            .build()
            .map_err(|error| Error::Input(format!("`{pattern}`: {error}")))?
            .compile_matcher();
        let name = |path: &PathBuf| path.file_name().map(PathBuf::from).unwrap_or_default();
        let matches = |path: &&PathBuf| glob.is_match(path) || glob.is_match(name(path));
        Ok(files.iter().filter(readable).filter(matches).cloned().collect())
    };
    for pattern in patterns {
        let mut all: Vec<PathBuf> = Vec::new();
        for part in pattern.split('+') {
            let mut of_part = matching(part)?;
            let extension = |path: &PathBuf| path.extension().map(std::ffi::OsStr::to_owned);
            let best = of_part.iter().map(extension).min_by_key(|e| e.as_deref() != Some("parquet".as_ref()));
            if let Some(best) = best {
                of_part.retain(|path| extension(path) == best);
            }
            all.extend(of_part);
        }
        if !all.is_empty() {
            return Ok(all);
        }
    }
    Ok(Vec::new())
}
