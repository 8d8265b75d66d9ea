//! What came of it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zoo_core::path_text;
use zoo_host::Eyes;
use zoo_pipeline::find::Passed;
use zoo_pipeline::write::{FolderSink, OneFile};
use zoo_pipeline::{End, Failure, Metadata};

use crate::commands::session::warning;
use zoo_terminal::interrupt::STOPPED;
use zoo_terminal::{CliError, Report, counted};

/// What was written, or is kept for the next run.
pub(super) struct Written {
    out: PathBuf,
    /// Images in `files`.
    images: usize,
    /// Images of an earlier run that were kept.
    kept: usize,
    /// Name and shape.
    tensors: Vec<(String, Vec<usize>)>,
    files: Vec<PathBuf>,
    metadata: Metadata,
    /// Where rows lie that did not become a file.
    unfinished: Option<PathBuf>,
}

impl Written {
    pub fn in_folder(folder: &Path, sink: &FolderSink) -> Self {
        Self {
            out: folder.to_path_buf(),
            images: sink.files().len(),
            kept: sink.kept(),
            tensors: sink.shapes().to_vec(),
            files: sink.files().to_vec(),
            metadata: sink.record(),
            unfinished: None,
        }
    }

    /// Makes the file if the run came to its end.
    pub fn in_file(path: &Path, sink: &mut OneFile, end: End) -> (End, Self) {
        let end = match end {
            End::Complete if sink.rows() > 0 => sink.finish().map_or_else(End::Stopped, |()| End::Complete),
            end => end,
        };
        let whole = !sink.files().is_empty();
        let written = Self {
            out: path.to_path_buf(),
            images: sink.rows(),
            kept: 0,
            tensors: sink.shapes(),
            files: sink.files().to_vec(),
            metadata: sink.record(),
            unfinished: if whole { None } else { sink.leave().map(Path::to_path_buf) },
        };
        (end, written)
    }

    pub fn is_empty(&self) -> bool {
        self.images + self.kept == 0
    }
}

/// Why a run ended before its end, if it did, and how to go on.
pub(super) fn ended(end: End, written: &Written, inputs: usize) -> Option<CliError> {
    let (why, code) = match end {
        End::Complete => return None,
        End::Cancelled => ("stopped by a signal".to_owned(), STOPPED),
        End::Stopped(error) => (error.to_string(), 1),
    };
    let images = counted(written.images, "image");
    let message = match &written.unfinished {
        _ if written.is_empty() => format!("{why}; nothing was written"),
        Some(folder) => format!(
            "{why}; {images} of {inputs} inputs are kept in {}: run it again with --resume to go on",
            path_text(folder)
        ),
        None => format!(
            "{why}; the files of {images} of {inputs} inputs are written and whole: run it again with --resume for the \
             rest"
        ),
    };
    let json = json!({
        "out": path_text(&written.out),
        "images": written.images,
        "kept": written.kept,
        "files": texts(&written.files),
        "unfinished": written.unfinished.as_deref().map(path_text),
    });
    Some(CliError::Ended { message, json, code })
}

/// Nothing came of it.
pub(super) fn nothing(failures: &[Failure], passed: &[Passed]) -> CliError {
    let message = match failures {
        [] => "no input gave anything".into(),
        [one] => one.to_string(),
        _ => format!("none of {} inputs could be encoded", failures.len()),
    };
    let mut json = json!({ "failures": failed(failures) });
    say_passed(&mut json, passed);
    CliError::Ended { message, json, code: 1 }
}

pub(super) fn report(eyes: &Eyes, written: &Written, failures: &[Failure], passed: &[Passed]) -> Report {
    let mut text = String::new();
    let files = match written.files.len() {
        0 | 1 => String::new(),
        n => format!(" in {n} files"),
    };
    text.push_str(&format!(
        "{}: {} seen by {}{files}\n",
        path_text(&written.out),
        counted(written.images, "image"),
        eyes.id()
    ));
    if written.kept > 0 {
        text.push_str(&format!("  {} of an earlier run kept\n", counted(written.kept, "file")));
    }
    let width = written.tensors.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, shape) in &written.tensors {
        text.push_str(&format!("  {name:width$}  {shape:?}\n"));
    }
    if let Some(warning) = warning(eyes) {
        text.push_str(&format!("  {warning}\n"));
    }
    let peak = zoo_measure::memory::peak();
    if let Some(peak) = peak {
        text.push_str(&format!("  at most {} MiB of memory resident\n", peak >> 20));
    }
    let mut json = json!({
        "out": path_text(&written.out),
        "images": written.images,
        "kept": written.kept,
        "files": texts(&written.files),
        "tensors": written.tensors.iter().map(|(name, shape)| (name.clone(), json!(shape))).collect::<Metadata>(),
        "untrained": eyes.untrained(),
        "peak_resident_bytes": peak,
        "metadata": Value::Object(written.metadata.clone()),
    });
    say_passed(&mut json, passed);
    if !failures.is_empty() {
        let total = failures.len() + written.images + written.kept;
        json["error"] = format!("{} of {total} inputs could not be encoded", failures.len()).into();
        json["failures"] = failed(failures);
        text.push_str(&format!("  {} could not be encoded\n", counted(failures.len(), "input")));
    }
    Report { text, json, failed: !failures.is_empty() }
}

fn failed(failures: &[Failure]) -> Value {
    failures.iter().map(|f| json!({ "input": f.input, "error": f.error.to_string() })).collect()
}

fn say_passed(json: &mut Value, passed: &[Passed]) {
    if !passed.is_empty() {
        let passed = passed.iter().map(|p| json!({ "reason": p.reason, "files": texts(&p.paths) }));
        json["passed_over"] = passed.collect();
    }
}

fn texts(paths: &[PathBuf]) -> Value {
    paths.iter().map(|path| path_text(path)).collect()
}

#[cfg(test)]
mod tests {
    use zoo_pipeline::Error;

    use super::*;

    #[test]
    fn one_failure_is_the_message_and_several_are_counted() {
        let bad = |input: &str, error: &str| Failure::new(input, Error::Earlier(error.into()));
        let message = |failures: &[Failure]| nothing(failures, &[]).to_string();
        assert_eq!(message(&[bad("a.png", "a.png: broken")]), "a.png: broken");
        assert_eq!(message(&[bad("a.png", "broken")]), "a.png: broken");
        assert_eq!(message(&[bad("a", "x"), bad("b", "y")]), "none of 2 inputs could be encoded");
    }
}
