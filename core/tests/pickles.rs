//! Files of `torch.save`: every protocol and form that PyTorch writes, whole modules, and pickles that mean harm.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::DType;
use zoo_core::weights::Checkpoint;

/// `tests/data/make.py` has written them with torch itself.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Names, shapes and numbers of all tensors.
#[track_caller]
fn check(name: &str, expected: &[(&str, &[usize], &[f32])]) {
    let file = Checkpoint::open(&[data(name)]).unwrap();
    let read = file.keys().map(|key| {
        let numbers = file.load(key).unwrap().to_dtype(DType::F32).unwrap().flatten_all().unwrap();
        (key.to_owned(), (file.shape(key).unwrap().to_vec(), numbers.to_vec1::<f32>().unwrap()))
    });
    let read: BTreeMap<_, _> = read.collect();
    let expected =
        expected.iter().map(|(key, shape, numbers)| ((*key).into(), (shape.to_vec(), numbers.to_vec())));
    assert_eq!(read, expected.collect(), "{name}");
}

#[test]
fn every_protocol_and_form_gives_the_same_tensors() {
    let whole: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let turned: Vec<f32> = (0..24).map(|i| (i % 4 * 6 + i / 4) as f32).collect();
    let tail = [20., 21., 22., 23.];
    let tensors: [(&str, &[usize], &[f32]); 3] =
        [("whole", &[4, 6], &whole), ("turned", &[6, 4], &turned), ("tail", &[4], &tail)];
    for name in ["protocol-3.pt", "protocol-4.pt", "protocol-5.pt", "legacy-views.pth"] {
        check(name, &tensors);
    }
    check("legacy.pth", &[("weight", &[24], &whole)]);
}

#[test]
fn modules_have_the_tensors_of_their_state_dict() {
    let tensors: [(&str, &[usize], &[f32]); 5] = [
        ("scale", &[1], &[8.]),
        ("blocks.0.weight", &[4], &[0., 1., 2., 3.]),
        ("blocks.0.kept", &[2], &[4., 5.]),
        ("blocks.1.weight", &[4], &[0., 1., 2., 3.]),
        ("blocks.1.kept", &[2], &[4., 5.]),
    ];
    check("module.pt", &tensors);
    // TorchScript does not know which buffers are not to be saved.
    let passing: [(&str, &[usize], &[f32]); 2] =
        [("blocks.0.dropped", &[2], &[6., 7.]), ("blocks.1.dropped", &[2], &[6., 7.])];
    check("scripted.pt", &[&tensors[..], &passing].concat());
}

#[test]
fn element_types_that_came_later_are_told_by_their_name() {
    let file = Checkpoint::open(&[data("newer.pt")]).unwrap();
    assert_eq!(file.load("eight").unwrap().dtype(), DType::F8E4M3);
    assert!(file.load("sixteen").unwrap_err().to_string().contains("uint16, which is not read"));
}

// Pickles that mean harm. Each is the part of an old file in which the weights should be.

/// A file in the form before the archives, whose saved object is `pickle`.
fn file(pickle: &[u8]) -> Vec<u8> {
    let before =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02";
    [&before[..], pickle, b"\x80\x02]."].concat()
}

#[track_caller]
fn refused(bytes: &[u8], part: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("harm.pth");
    std::fs::write(&path, bytes).unwrap();
    let message = match Checkpoint::open(&[path]) {
        Ok(file) => panic!("{part}: it was read as {:?}", file.keys().collect::<Vec<_>>()),
        Err(error) => error.to_string(),
    };
    assert!(message.contains("harm.pth") && message.contains(part), "no `{part}` in: {message}");
}

/// A value that names the one before it twice, over and over: `first`, then `next` for each level.
fn doubled(first: &[u8], next: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    let mut out = [first, b"q\0"].concat();
    for level in 0..60 {
        out.extend(next(level));
        out.extend([b'q', level + 1]);
    }
    [out, b".".to_vec()].concat()
}

#[test]
fn values_that_are_named_many_times_are_held_once() {
    let lists = doubled(b"]", |level| vec![b']', b'(', b'h', level, b'h', level, b'e']);
    refused(&file(&lists), "not a dictionary of tensors");
    let tuples = doubled(b")", |level| vec![b'h', level, b'h', level, 0x86]);
    refused(&file(&tuples), "not a dictionary of tensors");
    let modules = doubled(b"c__torch__\nM\n)\x81}b", |level| {
        let attribute = |name| [b"X\x01\0\0\0".as_slice(), &[name, b'h', level]].concat();
        [b"c__torch__\nM\n)\x81}(".as_slice(), &attribute(b'a'), &attribute(b'b'), b"ub"].concat()
    });
    refused(&file(&modules), "attributes, which no model has");
}

#[test]
fn nesting_takes_no_stack() {
    let deep = |count| [b")".to_vec(), vec![0x85; count], b".".to_vec()].concat();
    refused(&file(&deep(1_000_000)), "not a dictionary of tensors");
    refused(&file(b"]q\0h\0a."), "not a dictionary of tensors");
    refused(&file(b"}q\0X\x05\0\0\0modelh\0s."), "no tensors found");
    refused(&file(b"c__torch__\nM\n)\x81q\0}X\x01\0\0\0ah\0sb."), "nested deeper than 64");
}

#[test]
fn a_pickle_takes_no_more_than_its_share() {
    refused(&file(&[vec![b'N'; (8 << 20) + 1], b".".to_vec()].concat()), "more than 8388608 values");
    let remembered = [b"]".to_vec(), b"r\xff\xff\xff\xff".repeat(10), b".".to_vec()].concat();
    refused(&file(&remembered), "not a dictionary of tensors");
    for exabytes in
        [&b"\x8d\0\0\0\0\0\0\0\x7f"[..], b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", b"\x8b\xff\xff\xff\x7f"]
    {
        refused(&file(exabytes), "ends within a value");
    }
}

#[test]
fn what_no_writer_makes_says_where_it_stands() {
    let cases: [(&[u8], &str); 13] = [
        (b".", "a value that is not there"),
        (b"R.", "values that are not there"),
        (b"t.", "a mark that is not there"),
        (b"](N(a.", "a value that is not there"),
        (b"NNa.", "no list"),
        (b"NNNs.", "no dictionary"),
        (b"}(Nu.", "a key without a value"),
        (b"h\0.", "there is no value 0 yet"),
        (b"NN\x93.", "whose name is no text"),
        (b"(o.", "an object without a class"),
        (b"I1\n.", "protocol 0 or 1"),
        (b"\x97.", "outside of the file"),
        (b"\xff.", "0xff, which is not known"),
    ];
    for (pickle, part) in cases {
        refused(&file(pickle), part);
    }
    refused(b"\x80\x06N.", "no safetensors file");
    refused(b"\x80\x04N.", "a pickle, but not of torch.save");
}

#[test]
fn a_view_does_not_reach_beyond_its_storage_nor_repeat_it_without_bound() {
    let tensor = |offset: u8, shape: &[u8], stride: &[u8]| {
        let name = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ";
        let list = |numbers: &[u8]| [b"(".to_vec(), numbers.to_vec(), b"t".to_vec()].concat();
        let view = [name.to_vec(), vec![b'K', offset], list(shape), list(stride)].concat();
        let call = [b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec(), view, b"tR".to_vec()].concat();
        let before = [b"}X\x01\0\0\0w".to_vec(), call, b"s.".to_vec()].concat();
        let mut bytes = file(&before);
        bytes.truncate(bytes.len() - 4);
        bytes.extend(b"\x80\x02]X\x01\0\0\x000a.\x02\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\x40");
        bytes
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("view.pth");
    let load = |bytes: Vec<u8>| {
        std::fs::write(&path, bytes).unwrap();
        Checkpoint::open(std::slice::from_ref(&path)).and_then(|file| file.load("w"))
    };
    assert_eq!(load(tensor(0, b"K\x02", b"K\x01")).unwrap().to_vec1::<f32>().unwrap(), [1., 2.]);
    assert_eq!(load(tensor(1, b"K\x02", b"K\x00")).unwrap().to_vec1::<f32>().unwrap(), [2., 2.]);
    let petabytes = b"\x8a\x06\0\0\0\0\0\x40";
    for (offset, shape, stride) in
        [(1, &b"K\x02"[..], &b"K\x01"[..]), (0, b"K\x02K\x02", b"K\x01K\x01"), (0, petabytes, b"K\x00")]
    {
        let message = load(tensor(offset, shape, stride)).unwrap_err().to_string();
        assert!(message.contains("reaches beyond its data"), "{message}");
    }
    let cut = load(tensor(0, b"K\x02", b"K\x01").split_last().unwrap().1.to_vec()).unwrap_err().to_string();
    assert!(cut.contains("ends within the data"), "{cut}");
}
