//! The files of a task's data.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::task::Task;
use crate::{Error, Result};

pub(super) fn listed(patterns: &[&str]) -> String {
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
    format!(
        "no data: nothing in {} matches {}.{place} Give their folder with --data",
        folder.display(),
        listed(patterns)
    )
}

/// The files below `folder` that match the first pattern that any matches, by their path or, where they lie loose, by
/// their name; sorted. `a+b` is both. Of files in several forms those in one form are taken, Parquet before others.
pub(super) fn found(folder: &Path, patterns: &[&str]) -> Result<Vec<PathBuf>> {
    let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name();
    let readable = |path: &Path| zoo_records::Form::of(path).is_some();
    let files: Vec<PathBuf> = walk
        .into_iter()
        .filter_map(std::result::Result::ok)
        .filter(|entry| entry.file_type().is_file() && readable(entry.path()))
        .map(walkdir::DirEntry::into_path)
        .collect();
    let matching = |pattern: &str| -> Result<Vec<PathBuf>> {
        let glob: GlobMatcher = GlobBuilder::new(pattern)
            .literal_separator(false)
            .build()
            .map_err(|error| Error::Input(format!("`{pattern}`: {error}")))?
            .compile_matcher();
        let name = |path: &PathBuf| path.file_name().map(PathBuf::from).unwrap_or_default();
        let below = |path: &PathBuf| path.strip_prefix(folder).map(Path::to_owned).unwrap_or_default();
        Ok(files
            .iter()
            .filter(|path| glob.is_match(below(path)) || glob.is_match(name(path)))
            .cloned()
            .collect())
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
