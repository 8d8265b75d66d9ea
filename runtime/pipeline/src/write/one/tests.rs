use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::Read;

use ::safetensors::SafeTensors;
use serde_json::{Value, json};

use super::spool::Medium;
use super::*;
use crate::find::Contents;
use crate::look::Rows;

thread_local! {
    /// Bytes that the disk still takes; what does not fit is cut off, as a full disk does it.
    static ROOM: Cell<u64> = const { Cell::new(u64::MAX) };
    /// How often something was made sure to be on the disk.
    static SYNCED: Cell<usize> = const { Cell::new(0) };
}

/// A file on a disk that becomes full.
struct Filling(File);

impl Medium for Filling {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = ROOM.get();
        let fits = room.min(bytes.len() as u64);
        ROOM.set(room - fits);
        Medium::append(&mut self.0, &bytes[..fits as usize])?;
        if fits < bytes.len() as u64 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.cut(length)
    }

    fn length(&self) -> io::Result<u64> {
        Medium::length(&self.0)
    }

    fn sync(&mut self) -> io::Result<()> {
        SYNCED.set(SYNCED.get() + 1);
        self.0.sync()
    }

    fn read(&mut self) -> io::Result<Box<dyn Read + '_>> {
        Medium::read(&mut self.0)
    }
}

fn filling(path: &Path) -> io::Result<Box<dyn Medium>> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    Ok(Box::new(Filling(options?)))
}

/// Both tensors and the journal, before anybody is told that they are kept.
#[test]
fn what_is_left_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = wanted(&folder.path().join("x.safetensors"), Existing::Refuse);
    sink.put(&[item(0), item(1)], seen(&[0, 1])).unwrap();
    assert_eq!(SYNCED.get(), 0);
    assert!(sink.leave().is_some());
    assert_eq!(SYNCED.get(), 3);
}

const IMAGES: usize = 7;

fn inputs() -> Vec<Input> {
    (0..IMAGES).map(|i| Input::file(format!("{i}.png"), Contents::Image)).collect()
}

fn item(input: usize) -> Item {
    Item { input, name: format!("{input}.png"), row: None, size: (input as u32, 1), notes: Vec::new() }
}

/// Two tensors, whose numbers say which image they are of.
fn seen(of: &[usize]) -> Seen {
    let rows = |name: &str, shape: &[usize], offset: f32| {
        let length: usize = shape.iter().product();
        let values = of.iter().flat_map(|&image| vec![image as f32 + offset; length]).collect();
        Rows { name: name.into(), shape: shape.to_vec(), values }
    };
    let mut record = Metadata::new();
    record.insert("grid".into(), json!([1, 2]));
    Seen { tensors: vec![rows("features", &[2, 3], 0.0), rows("prefix", &[1], 0.5)], record }
}

fn setting(dtype: &str) -> Setting {
    let identity = [("dtype".to_owned(), json!(dtype))].into_iter().collect();
    Setting::new(identity, Metadata::new())
}

fn open(path: &Path, existing: Existing) -> Result<Opening, WriteError> {
    OneFile::open_on(path, Form::Safetensors, &inputs(), setting("f32"), existing, filling)
}

fn wanted(path: &Path, existing: Existing) -> Box<OneFile> {
    match open(path, existing).unwrap() {
        Opening::Wanted(sink) => sink,
        Opening::Complete => panic!("nothing is to be done"),
    }
}

/// Puts what is wanted in batches of two.
fn go_on(sink: &mut OneFile) -> Result<(), WriteError> {
    let all: Vec<usize> = (sink.start().input..IMAGES).collect();
    all.chunks(2).try_for_each(|batch| {
        let items: Vec<Item> = batch.iter().map(|&input| item(input)).collect();
        sink.put(&items, seen(batch)).map(drop)
    })
}

/// What a run without a fault writes.
fn undisturbed() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut sink = wanted(&path, Existing::Refuse);
    go_on(&mut sink).unwrap();
    sink.finish().unwrap();
    drop(sink);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    fs::read(path).unwrap()
}

#[test]
fn rows_are_those_of_their_images() {
    let bytes = undisturbed();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (name, width, offset) in [("features", 6, 0.0), ("prefix", 1, 0.5)] {
        let data = file.tensor(name).unwrap().data().to_vec();
        let values: Vec<f32> =
            data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let expected: Vec<f32> = (0..IMAGES).flat_map(|image| vec![image as f32 + offset; width]).collect();
        assert_eq!(values, expected, "{name}");
    }
}

/// Wherever the disk becomes full, the run ends there, and the next one makes the file that one run would have made.
#[test]
fn a_full_disk_shifts_nothing_wherever_it_comes() {
    let expected = undisturbed();
    let mut stopped = 0;
    for room in (0..900).step_by(7) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let mut sink = wanted(&path, Existing::Refuse);
        ROOM.set(room);
        let result = go_on(&mut sink);
        ROOM.set(u64::MAX);
        if let Err(error) = result {
            stopped += 1;
            assert!(
                !error.is_of_one_output() && error.to_string().contains("x.safetensors.unfinished"),
                "{error}"
            );
            let kept = sink.rows();
            assert_eq!(sink.leave().is_some(), kept > 0);
            drop(sink);
            assert!(!path.exists());
            sink = wanted(&path, Existing::Keep);
            assert_eq!((sink.rows(), sink.start().input), (kept, kept));
            go_on(&mut sink).unwrap();
        }
        sink.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), expected, "room for {room} bytes");
    }
    assert!((60..129).contains(&stopped), "{stopped}");
}

/// Whoever kills the program leaves its folder as it is at that moment: any of its files may be longer than what counts.
#[test]
fn a_run_that_was_killed_goes_on() {
    let expected = undisturbed();
    for (torn, text) in
        [("0.f32", &b"\0\0\0"[..]), ("1.f32", b"\x01\x02"), ("rows.jsonl", b"{\"input\":4,\"na")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let mut sink = wanted(&path, Existing::Refuse);
        sink.put(&[item(0), item(1)], seen(&[0, 1])).unwrap();
        sink.put(&[item(2)], seen(&[2])).unwrap();
        // No farewell.
        drop(sink);
        let torn = folder.path().join("x.safetensors.unfinished").join(torn);
        OpenOptions::new().append(true).open(torn).unwrap().write_all(text).unwrap();
        let mut sink = wanted(&path, Existing::Keep);
        assert_eq!((sink.rows(), sink.start().input), (3, 3));
        go_on(&mut sink).unwrap();
        sink.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), expected);
    }
}

/// A journal that is ahead of a tensor, as after a power failure, counts as far as the tensor does.
#[test]
fn only_rows_that_are_whole_in_every_tensor_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut sink = wanted(&path, Existing::Refuse);
    sink.put(&[item(0), item(1), item(2)], seen(&[0, 1, 2])).unwrap();
    drop(sink);
    let short = OpenOptions::new().write(true).open(folder.path().join("x.safetensors.unfinished/1.f32"));
    short.unwrap().set_len(2 * 4 + 3).unwrap();
    let mut sink = wanted(&path, Existing::Keep);
    assert_eq!((sink.rows(), sink.start().input), (2, 2));
    go_on(&mut sink).unwrap();
    sink.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), undisturbed());
}

#[test]
fn failures_keep_their_place_and_are_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut sink = wanted(&path, Existing::Refuse);
    sink.put(&[item(0)], seen(&[0])).unwrap();
    let failure = Failure::new("1.png", Error::Earlier("it is broken".into()));
    sink.failed(1, None, &failure).unwrap();
    sink.failed(2, Some(3), &failure).unwrap();
    drop(sink);
    let mut sink = wanted(&path, Existing::Keep);
    assert_eq!((sink.rows(), sink.start()), (1, Position { input: 2, row: 4 }));
    let earlier: Vec<String> = sink.earlier().iter().map(ToString::to_string).collect();
    assert_eq!(earlier, ["1.png: it is broken"; 2]);
}

#[test]
fn what_is_there_is_continued_replaced_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let refused = |existing: Existing, part: &str| match open(&path, existing) {
        Err(error) => assert!(error.to_string().contains(part), "{error}"),
        Ok(_) => panic!("{existing:?} should be refused: {part}"),
    };
    let mut sink = wanted(&path, Existing::Refuse);
    sink.put(&[item(0)], seen(&[0])).unwrap();
    refused(Existing::Keep, "another run is writing here");
    drop(sink);
    refused(Existing::Refuse, "--resume goes on with it, --overwrite begins anew");
    assert_eq!(wanted(&path, Existing::Replace).rows(), 0);

    let mut sink = wanted(&path, Existing::Keep);
    go_on(&mut sink).unwrap();
    sink.finish().unwrap();
    drop(sink);
    refused(Existing::Refuse, "there already; --overwrite replaces it");
    assert!(matches!(open(&path, Existing::Keep), Ok(Opening::Complete)));
    let other = |inputs: &[Input], setting: Setting| {
        OneFile::open(&path, Form::Safetensors, inputs, setting, Existing::Keep).err().unwrap().to_string()
    };
    assert!(other(&inputs(), setting("bf16")).contains("with other settings"));
    assert!(other(&inputs()[1..], setting("f32")).contains("other inputs"));
    // A run that replaces is continued as one that replaces.
    let mut sink = wanted(&path, Existing::Replace);
    sink.put(&[item(0)], seen(&[0])).unwrap();
    assert_eq!(sink.rows(), 1);
    drop(sink);
    let before = fs::read(&path).unwrap();
    let mut sink = wanted(&path, Existing::Keep);
    assert_eq!(sink.rows(), 1);
    assert_eq!(fs::read(&path).unwrap(), before);
    go_on(&mut sink).unwrap();
    sink.finish().unwrap();
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn a_run_is_continued_only_by_its_like() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut sink = wanted(&path, Existing::Refuse);
    sink.put(&[item(0)], seen(&[0])).unwrap();
    drop(sink);
    let other = |inputs: &[Input], setting: Setting| {
        OneFile::open(&path, Form::Safetensors, inputs, setting, Existing::Keep).err().unwrap().to_string()
    };
    assert!(other(&inputs(), setting("bf16")).contains("it was begun with other settings (dtype)"));
    assert!(other(&inputs()[1..], setting("f32")).contains("it was begun with other inputs"));
    assert_eq!(wanted(&path, Existing::Keep).rows(), 1);
}

#[test]
fn another_shape_is_a_failure_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = wanted(&folder.path().join("x.safetensors"), Existing::Refuse);
    sink.put(&[item(0)], seen(&[0])).unwrap();
    let mut other = seen(&[1]);
    other.tensors[0].shape = vec![3, 2];
    let failures = sink.put(&[item(1)], other).unwrap();
    assert!(failures[0].1.to_string().contains("one file holds one shape"), "{:?}", failures[0]);
    sink.put(&[item(2)], seen(&[2])).unwrap();
    assert_eq!((sink.rows(), sink.shapes()[0].1.clone()), (2, vec![2, 2, 3]));
}

/// Names of very many images would make a header that no reader takes.
#[test]
fn long_lists_stand_beside_the_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut sink = wanted(&path, Existing::Refuse);
    let long = |input: usize| Item { name: format!("{}/{input}.png", "long".repeat(100)), ..item(input) };
    for batch in (0..4000).collect::<Vec<_>>().chunks(1000) {
        sink.put(&batch.iter().map(|&i| long(i)).collect::<Vec<_>>(), seen(batch)).unwrap();
    }
    sink.finish().unwrap();
    let bytes = fs::read(&path).unwrap();
    let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    assert!(header < 10_000, "{header} bytes of header");
    assert_eq!(metadata.metadata().as_ref().unwrap()["inputs"], "in the tensor `inputs.json`");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let lists: Value = serde_json::from_slice(file.tensor("inputs.json").unwrap().data()).unwrap();
    assert_eq!(lists["inputs"].as_array().unwrap().len(), 4000);
    assert_eq!((&lists["inputs"][7], &lists["image_sizes"][7]), (&json!(long(7).name), &json!([7, 1])));
    assert_eq!(file.tensor("features").unwrap().shape(), [4000, 2, 3]);
}

#[test]
fn an_array_comes_with_what_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let open = |existing| OneFile::open(&path, Form::Npy, &inputs(), setting("f32"), existing);
    let Ok(Opening::Wanted(mut sink)) = open(Existing::Refuse) else { panic!("it can be written") };
    let mut parts = seen(&[0]);
    parts.tensors.remove(0);
    assert!(sink.put(&[item(0)], parts).unwrap_err().to_string().contains("a .npy file holds one array"));
    go_on(&mut sink).unwrap();
    sink.finish().unwrap();
    drop(sink);
    assert!(fs::read(&path).unwrap().starts_with(b"\x93NUMPY"));
    let beside: Value = serde_json::from_slice(&fs::read(folder.path().join("x.npy.json")).unwrap()).unwrap();
    assert_eq!((&beside["grid"], &beside["inputs"][6]), (&json!([1, 2]), &json!("6.png")));
    assert!(matches!(open(Existing::Keep), Ok(Opening::Complete)));
    fs::remove_file(&path).unwrap();
    for existing in [Existing::Refuse, Existing::Keep] {
        let message = open(existing).err().unwrap().to_string();
        assert!(message.contains("x.npy.json: this file is there already"), "{message}");
    }
    // The array comes last: where a run ended before it, what stands beside may be there.
    let Ok(Opening::Wanted(mut sink)) = open(Existing::Replace) else { panic!("it can be written") };
    go_on(&mut sink).unwrap();
    drop(sink);
    let Ok(Opening::Wanted(mut sink)) = open(Existing::Keep) else { panic!("it can be continued") };
    sink.finish().unwrap();
}
