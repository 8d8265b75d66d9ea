use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;

use zoo_host::HostError;
use zoo_preprocess::DecodeOptions;

use super::*;
use crate::Metadata;
use crate::find::{Contents, find};
use crate::look::Rows;
use crate::write::{Existing, FolderSink, Form, OneFile, Opening, Setting};

/// The width of each image, and its height in another tensor; images of width 13 cannot be looked at.
struct Ruler;

impl Look for Ruler {
    fn look(&self, batch: &Batch, part: &dyn Fn(&str)) -> Result<Seen, LookError> {
        part("ruler");
        if batch.items().iter().any(|item| item.size.0 == 13) {
            return Err(HostError::Internal("13 brings bad luck".into()).into());
        }
        let tensor = |name: &str, of: &dyn Fn(&Item) -> u32| Rows {
            name: name.into(),
            shape: vec![1],
            values: batch.items().iter().map(|item| of(item) as f32).collect(),
        };
        let tensors = vec![tensor("features", &|item| item.size.0), tensor("height", &|item| item.size.1)];
        Ok(Seen { tensors, record: Metadata::new() })
    }
}

#[derive(Default)]
struct Log {
    lines: RefCell<Vec<String>>,
    cancel_after: Cell<usize>,
    cancel: AtomicBool,
}

impl Watch for Log {
    fn failed(&self, failure: &Failure) {
        self.lines.borrow_mut().push(format!("failed {failure}"));
    }

    fn kept(&self, item: &Item) {
        let name = Path::new(&item.name).file_name().unwrap().to_string_lossy().into_owned();
        self.lines.borrow_mut().push(name);
    }

    fn done(&self, inputs: u64) {
        let left = self.cancel_after.get().saturating_sub(inputs as usize);
        self.cancel_after.set(left);
        self.cancel.store(left == 0, Ordering::Relaxed);
    }
}

fn log(cancel_after: usize) -> Log {
    Log { cancel_after: Cell::new(cancel_after), ..Log::default() }
}

/// Images of these widths, and what else is named.
fn images(folder: &Path, widths: &[u32]) -> Vec<Input> {
    let path = |i: usize| folder.join(format!("in/{i}.png"));
    fs::create_dir_all(folder.join("in")).unwrap();
    for (i, &width) in widths.iter().enumerate() {
        match width {
            0 => fs::write(path(i), "no image").unwrap(),
            _ => image::RgbImage::new(width, 2).save(path(i)).unwrap(),
        }
    }
    find(&[folder.join("in")]).inputs
}

fn reading() -> Reading {
    Reading::new(2, 2, DecodeOptions::default())
}

fn setting() -> Setting {
    Setting::new(Metadata::new(), Metadata::new())
}

fn one_file(path: &Path, inputs: &[Input], existing: Existing) -> Box<OneFile> {
    match OneFile::open(path, Form::Safetensors, inputs, setting(), existing).unwrap() {
        Opening::Wanted(sink) => sink,
        Opening::Complete => panic!("nothing is to be done"),
    }
}

fn go(inputs: &[Input], sink: &mut dyn Sink, log: &Log) -> Outcome {
    run(inputs, &reading(), &Ruler, sink, &Control { watch: log, cancel: &log.cancel })
}

#[test]
fn one_bad_image_does_not_take_the_others_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = images(folder.path(), &[1, 2, 0, 13, 5, 6]);
    let mut sink = one_file(&folder.path().join("x.safetensors"), &inputs, Existing::Refuse);
    let log = log(usize::MAX);
    let outcome = go(&inputs, &mut *sink, &log);
    assert!(matches!(outcome.end, End::Complete));
    let lines = log.lines.into_inner();
    assert_eq!(lines.len(), 6);
    assert_eq!(
        (&lines[..2], &lines[4..]),
        (&["0.png".into(), "1.png".into()][..], &["4.png".into(), "5.png".into()][..])
    );
    assert!(
        lines[2].contains("2.png: this is text") && lines[3].contains("3.png: internal: 13"),
        "{lines:?}"
    );
    assert_eq!((outcome.failures.len(), sink.rows()), (2, 4));
}

/// Stopped anywhere, and continued as often as it takes, a run makes the same file.
#[test]
fn a_run_that_is_cancelled_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = images(folder.path(), &[1, 2, 0, 4, 13, 6, 7, 8, 9]);
    let path = folder.path().join("whole.safetensors");
    let mut sink = one_file(&path, &inputs, Existing::Refuse);
    let whole = go(&inputs, &mut *sink, &log(usize::MAX));
    sink.finish().unwrap();
    let path = folder.path().join("parts.safetensors");
    for step in 1..4 {
        let mut rounds = 0;
        loop {
            let existing = if rounds == 0 { Existing::Replace } else { Existing::Keep };
            let mut sink = one_file(&path, &inputs, existing);
            let earlier = sink.earlier().len();
            let outcome = go(&inputs, &mut *sink, &log(step));
            rounds += 1;
            if matches!(outcome.end, End::Complete) {
                assert_eq!(earlier + outcome.failures.len(), whole.failures.len());
                sink.finish().unwrap();
                break;
            }
            assert!(matches!(outcome.end, End::Cancelled) && sink.leave().is_some());
        }
        assert!(rounds > 2, "{rounds}");
        let written = |name: &str| fs::read(folder.path().join(name)).unwrap();
        assert!(written("parts.safetensors") == written("whole.safetensors"), "steps of {step}");
    }
}

#[test]
fn a_folder_keeps_what_is_there_and_gets_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = images(folder.path(), &[1, 2, 3, 4, 5]);
    let out = folder.path().join("out");
    let open = |existing| FolderSink::open(&out, &inputs, setting(), existing);
    let mut sink = open(Existing::Refuse).unwrap();
    let outcome = go(&inputs, &mut sink, &log(2));
    assert!(matches!(outcome.end, End::Cancelled));
    assert_eq!(sink.files(), [out.join("0.safetensors"), out.join("1.safetensors")]);
    let message = open(Existing::Refuse).unwrap_err().to_string();
    assert!(message.starts_with("2 of the files to be written are there already"), "{message}");
    let before = fs::metadata(out.join("0.safetensors")).unwrap().modified().unwrap();

    let mut sink = open(Existing::Keep).unwrap();
    assert_eq!(sink.kept(), 2);
    let log = log(usize::MAX);
    assert!(matches!(go(&inputs, &mut sink, &log).end, End::Complete));
    assert_eq!(log.lines.into_inner(), ["2.png", "3.png", "4.png"]);
    assert_eq!(sink.files().len(), 3);
    assert_eq!(fs::metadata(out.join("0.safetensors")).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 5);

    let other = Setting::new([("dtype".to_owned(), "f16".into())].into_iter().collect(), Metadata::new());
    let error = FolderSink::open(&out, &inputs, other, Existing::Keep).unwrap_err();
    assert!(error.to_string().contains("with other settings"), "{error}");
    fs::write(out.join("3.safetensors"), "half").unwrap();
    assert!(open(Existing::Keep).unwrap_err().to_string().contains("not a whole file of an earlier run"));
    let mut sink = open(Existing::Replace).unwrap();
    go(&inputs, &mut sink, &self::log(usize::MAX));
    assert_eq!(sink.files().len(), 5);
}

/// Each file stands for itself: the others of its batch are written, and counted.
#[test]
fn an_output_that_cannot_be_written_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = images(folder.path(), &[1, 2, 3, 4]);
    let out = folder.path().join("out");
    fs::create_dir_all(out.join("1.safetensors")).unwrap();
    inputs[2].name = format!("{}.png", "n".repeat(251)).into();
    let mut sink = FolderSink::open(&out, &inputs, setting(), Existing::Refuse).unwrap();
    let outcome = go(&inputs, &mut sink, &log(usize::MAX));
    assert!(matches!(outcome.end, End::Complete));
    assert_eq!(sink.files(), [out.join("0.safetensors"), out.join("3.safetensors")]);
    let failures: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
    assert!(failures[0].contains("1.safetensors: this is a folder"), "{failures:?}");
    assert!(failures[1].contains("cannot write: "), "{failures:?}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 3, "nothing half-written is left");
}

/// The final name may be as long as names can be.
#[test]
fn a_long_name_needs_no_longer_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut inputs = images(folder.path(), &[1]);
    inputs[0].name = format!("{}.png", "n".repeat(230)).into();
    let mut sink =
        FolderSink::open(&folder.path().join("out"), &inputs, setting(), Existing::Refuse).unwrap();
    assert!(go(&inputs, &mut sink, &log(usize::MAX)).failures.is_empty());
    assert_eq!(sink.files().len(), 1);
}

/// An input twice, and one of the two outputs in the way: names are no way to count.
#[test]
fn the_same_input_twice_is_two() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = images(folder.path(), &[1]);
    let twice = [inputs[0].clone(), inputs[0].clone()];
    let out = folder.path().join("out");
    fs::create_dir_all(out.join("0-2.safetensors")).unwrap();
    let mut sink = FolderSink::open(&out, &twice, setting(), Existing::Refuse).unwrap();
    let log = log(usize::MAX);
    let outcome = go(&twice, &mut sink, &log);
    assert_eq!((log.lines.into_inner().len(), outcome.failures.len(), sink.files().len()), (2, 1, 1));
    assert_eq!(twice[0].contents, Contents::Image);
}
