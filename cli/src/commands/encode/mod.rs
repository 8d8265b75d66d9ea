//! `zoo encode`

mod ahead;
mod look;
mod sink;
mod source;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::look::look;
use self::sink::Sink;
use self::source::{Item, Work, open, read};
use super::session::{Session, pixel_metadata, run_metadata};
use crate::args::EncodeArgs;
use crate::context::Context;
use crate::inputs::{self, BadInput, Input};
use crate::output::Metadata;
use crate::progress::Progress;
use crate::report::{CliError, Report, counted};
use crate::threads;

/// Where results go.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Safetensors(PathBuf),
    Npy(PathBuf),
    Folder(PathBuf),
}

impl Target {
    fn of(out: &Path) -> Result<Self, CliError> {
        let text = out.to_string_lossy();
        if out.is_dir() || text.ends_with('/') || text.ends_with(std::path::MAIN_SEPARATOR) {
            return Ok(Self::Folder(out.to_path_buf()));
        }
        match out.extension().and_then(|e| e.to_str()) {
            Some("safetensors") => Ok(Self::Safetensors(out.to_path_buf())),
            Some("npy") => Ok(Self::Npy(out.to_path_buf())),
            None => Ok(Self::Folder(out.to_path_buf())),
            Some(other) => Err(CliError::Usage(format!(
                "--out {}: .{other} files cannot be written; use .safetensors, .npy, or a folder (with a / at its \
                 end, if its name has a dot)",
                out.display()
            ))),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Safetensors(path) | Self::Npy(path) | Self::Folder(path) => path,
        }
    }
}

pub(super) fn run(args: &EncodeArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let target = Target::of(&args.out)?;
    let (inputs, mut failures) = inputs::expand(&args.inputs);
    for bad in &failures {
        context.complain(&format!("{}: {}", bad.input, bad.error));
    }
    if inputs.is_empty() {
        return Err(CliError::Failed(all_failed(&failures)));
    }

    let zoo = context.computing(&args.pixels)?;
    let progress = context.progress("encode", inputs.len() as u64);
    progress.message("opening");
    let session = Session::open(&zoo, &args.subject, args.prefix)?;
    let mut common = run_metadata(&zoo, context.global.dtype.into());
    common.extend(pixel_metadata(&args.pixels.orientation));
    let mut sink = Sink::new(target, &inputs, common);

    let options = session.decode_options(&args.pixels);
    let decode = |input: &Input| open(input, &options);
    let threads = threads::allowed(context.global.threads).get();
    read(&inputs, args.batch.get(), threads, decode, |work| {
        let files = work.files();
        match work {
            Work::Bad(bad) => fail(bad, &mut failures, context, &progress),
            Work::Batch(batch) => {
                for (items, result) in look(&zoo, &session, batch, &|part| progress.message(part)) {
                    match result.and_then(|seen| sink.put(&items, seen)) {
                        Ok(()) => report_notes(&items, context, &progress),
                        Err(error) => items.iter().for_each(|item| {
                            let bad = BadInput { input: item.name.clone(), error: error.to_string() };
                            fail(bad, &mut failures, context, &progress);
                        }),
                    }
                }
            }
        }
        progress.advance(files);
    });
    progress.finish();
    if sink.is_empty() {
        return Err(CliError::Failed(all_failed(&failures)));
    }
    let written = sink.finish()?;
    Ok(report(&session, &written, &failures))
}

/// One input that gave nothing; the others go on.
fn fail(bad: BadInput, failures: &mut Vec<BadInput>, context: &Context<'_>, progress: &Progress) {
    // The message of most errors begins with the file already.
    let line = if bad.error.contains(&bad.input) {
        bad.error.clone()
    } else {
        format!("{}: {}", bad.input, bad.error)
    };
    progress.suspend(|| context.complain(&line));
    failures.push(bad);
}

fn report_notes(items: &[Item], context: &Context<'_>, progress: &Progress) {
    for item in items {
        for note in &item.notes {
            progress.suspend(|| context.note(&format!("{}: {note}", item.name)));
        }
    }
}

fn all_failed(failures: &[BadInput]) -> String {
    match failures {
        [] => "no input gave anything".into(),
        [one] if one.error.contains(&one.input) => one.error.clone(),
        [one] => format!("{}: {}", one.input, one.error),
        [first, rest @ ..] if rest.iter().all(|f| f.error == first.error) => {
            format!("none of {} inputs could be encoded: {}", failures.len(), first.error)
        }
        _ => format!("none of {} inputs could be encoded", failures.len()),
    }
}

/// What was written, for the report.
struct Written {
    out: PathBuf,
    images: usize,
    /// Name and shape.
    tensors: Vec<(String, Vec<usize>)>,
    files: Vec<PathBuf>,
    metadata: Metadata,
}

fn report(session: &Session, written: &Written, failures: &[BadInput]) -> Report {
    let mut text = String::new();
    let files = match written.files.len() {
        1 => String::new(),
        n => format!(" in {n} files"),
    };
    text.push_str(&format!(
        "{}: {} seen by {}{files}\n",
        written.out.display(),
        counted(written.images, "image"),
        session.id()
    ));
    let width = written.tensors.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, shape) in &written.tensors {
        text.push_str(&format!("  {name:width$}  {shape:?}\n"));
    }
    if let Some(warning) = session.warning() {
        text.push_str(&format!("  {warning}\n"));
    }
    let peak = zoo_measure::memory::peak();
    if let Some(peak) = peak {
        text.push_str(&format!("  at most {} MiB of memory resident\n", peak >> 20));
    }
    let mut json = json!({
        "out": written.out,
        "images": written.images,
        "files": written.files,
        "tensors": written.tensors.iter().map(|(name, shape)| (name.clone(), json!(shape))).collect::<Metadata>(),
        "untrained": session.untrained(),
        "peak_resident_bytes": peak,
        "metadata": Value::Object(written.metadata.clone()),
    });
    if !failures.is_empty() {
        let total = failures.len() + written.images;
        json["error"] = format!("{} of {total} inputs could not be encoded", failures.len()).into();
        json["failures"] = failures.iter().map(|f| json!({ "input": f.input, "error": f.error })).collect();
        text.push_str(&format!("  {} could not be encoded\n", counted(failures.len(), "input")));
    }
    Report { text, json, failed: !failures.is_empty() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| Target::of(&folder.path().join(name));
        assert!(matches!(of("x.safetensors"), Ok(Target::Safetensors(_))));
        assert!(matches!(of("x.npy"), Ok(Target::Npy(_))));
        assert!(matches!(of("features"), Ok(Target::Folder(_))));
        assert!(matches!(of("v1.0/"), Ok(Target::Folder(_))));
        std::fs::create_dir(folder.path().join("is.npy")).unwrap();
        assert!(matches!(of("is.npy"), Ok(Target::Folder(_))));
        assert_eq!(of("x.pt").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn equal_failures_are_said_once() {
        let bad = |input: &str, error: &str| BadInput { input: input.into(), error: error.into() };
        assert_eq!(all_failed(&[bad("a.png", "a.png: broken")]), "a.png: broken");
        assert_eq!(all_failed(&[bad("a.png", "broken")]), "a.png: broken");
        let two = all_failed(&[bad("a", "layer 99"), bad("b", "layer 99")]);
        assert_eq!(two, "none of 2 inputs could be encoded: layer 99");
    }
}
