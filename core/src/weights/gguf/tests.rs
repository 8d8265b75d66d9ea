//! What is written is read back, and what is wrong with a file is said.

use std::io::Write;

use super::*;

fn file(bytes: &[u8]) -> (tempfile::TempDir, Result<Gguf>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gguf");
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    let read = Mapped::open(&path).and_then(Gguf::parse);
    (folder, read)
}

fn sample() -> Vec<u8> {
    let metadata = [
        ("general.architecture".to_owned(), Value::String("x".to_owned())),
        ("x.count".to_owned(), Value::Unsigned(7)),
        ("x.large".to_owned(), Value::Unsigned(1 << 40)),
        ("x.below".to_owned(), Value::Signed(-3)),
        ("x.epsilon".to_owned(), Value::Float(0.5)),
        ("x.yes".to_owned(), Value::Bool(true)),
        ("x.names".to_owned(), Value::Array(["a", "b"].map(|s| Value::String(s.to_owned())).into())),
    ];
    let plan =
        |name: &str, shape: &[usize], kind| TensorPlan { name: name.to_owned(), shape: shape.to_vec(), kind };
    let plans = [
        plan("plain", &[2, 3], TensorKind::F32),
        plan("none", &[0, 32], TensorKind::F32),
        plan("blocks", &[3, 32], Quantisation::Q8_0.into()),
    ];
    let mut writer = GgufWriter::new(Vec::new(), &metadata, &plans).unwrap();
    let plain: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
    writer.write(&plain[..5]).unwrap();
    writer.write(&plain[5..]).unwrap();
    writer.write(&[60; 3 * 34]).unwrap();
    writer.finish().unwrap()
}

#[test]
fn what_is_written_is_read() {
    let (_folder, read) = file(&sample());
    let read = read.unwrap();
    assert_eq!(read.keys().collect::<Vec<_>>(), ["blocks", "none", "plain"]);
    let plain = read.load("plain").unwrap();
    assert_eq!(plain.to_vec2::<f32>().unwrap(), [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
    let (format, range) = read.blocks("blocks").unwrap();
    assert_eq!((format, range.len(), range.start % 32), (Quantisation::Q8_0, 102, 0));
    // The f16 of the bytes 60, 60 is 1.05859375.
    assert_eq!(read.load("blocks").unwrap().to_vec2::<f32>().unwrap(), [[60.0 * 1.058_593_8; 32]; 3]);
    assert!(read.place("blocks").is_none() && read.blocks("plain").is_none());
    let metadata = read.metadata();
    assert_eq!((metadata.architecture(), metadata.count("x.large")), (Some("x"), Some(1 << 40)));
    assert_eq!((metadata.number("x.below"), metadata.number("x.epsilon")), (Some(-3.0), Some(0.5)));
    assert_eq!((metadata.length("x.names"), metadata.get("x.yes")), (Some(2), Some(&Value::Bool(true))));
}

#[test]
fn writers_are_held_to_their_plan() {
    let plan = [TensorPlan { name: "t".to_owned(), shape: vec![2], kind: TensorKind::F32 }];
    let mut writer = GgufWriter::new(Vec::new(), &[], &plan).unwrap();
    assert!(writer.write(&[0; 9]).unwrap_err().to_string().contains("lacks 8"));
    writer.write(&[0; 4]).unwrap();
    assert!(writer.finish().err().unwrap().to_string().contains("1 tensors were not written"));
    let plan = [TensorPlan { name: "t".to_owned(), shape: vec![2, 33], kind: Quantisation::Q8_0.into() }];
    let message = GgufWriter::new(Vec::new(), &[], &plan).err().unwrap().to_string();
    assert!(message.contains("`t`") && message.contains("not whole blocks"), "{message}");
}

#[track_caller]
fn check(bytes: &[u8], message: &str) {
    let said = file(bytes).1.err().unwrap().to_string();
    assert!(said.contains("x.gguf") && said.contains(message), "{said}");
}

/// A header of these parts: version, counts, and what follows.
fn header(version: u32, tensors: u64, entries: u64, rest: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), &version.to_le_bytes(), &tensors.to_le_bytes(), &entries.to_le_bytes(), rest].concat()
}

fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&(key.len() as u64).to_le_bytes(), key.as_bytes(), &kind.to_le_bytes(), value].concat()
}

fn tensor(name: &str, axes: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut out =
        [&(name.len() as u64).to_le_bytes(), name.as_bytes(), &(axes.len() as u32).to_le_bytes()].concat();
    axes.iter().for_each(|n| out.extend(n.to_le_bytes()));
    out.extend(kind.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out
}

#[test]
fn what_is_wrong_is_said() {
    check(&header(1, 0, 0, &[]), "version 1 is not read");
    check(&header(3, 1 << 60, 0, &[]), "more than the file can hold");
    check(&header(3, 0, 1, &entry("k", 99, &[0; 8])), "`k`: there is no type 99");
    check(&header(3, 0, 1, &entry("k", 8, &u64::MAX.to_le_bytes())), "more than the file can hold");
    let zero = entry("general.alignment", 4, &0u32.to_le_bytes());
    check(&header(3, 0, 1, &zero), "power of two");
    let nested: Vec<u8> =
        std::iter::repeat_n([&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat(), 9).flatten().collect();
    check(&header(3, 0, 1, &entry("k", 9, &nested)), "nested too deep");
    check(&header(3, 1, 0, &tensor("t", &[1; 5], 0, 0)), "`t` has 5 axes");
    check(&header(3, 1, 0, &tensor("t", &[4], 77, 0)), "`t` is of type 77");
    check(&header(3, 1, 0, &tensor("t", &[100], 12, 0)), "not whole blocks of 256");
    check(&header(3, 1, 0, &tensor("t", &[1 << 62, 8], 0, 0)), "absurdly large");
    check(&header(3, 1, 0, &tensor("t", &[1 << 40, 1 << 40, 0], 0, 0)), "absurdly large");
    check(&header(3, 1, 0, &tensor("t", &[64], 0, 0)), "beyond the end");
    check(&header(3, 1, 0, &tensor("t", &[1], 0, u64::MAX)), "beyond the end");
    let twice = [tensor("t", &[0], 0, 0), tensor("t", &[0], 0, 0), vec![0; 64]].concat();
    check(&header(3, 2, 0, &twice), "`t` is there twice");
}

/// Cut anywhere, a file is refused and nothing panics; so with any one byte of the header changed.
#[test]
fn no_damage_panics() {
    let whole = sample();
    for length in 1..whole.len() {
        // Padding behind the last tensor may be missing.
        assert!(file(&whole[..length]).1.is_err() || length >= whole.len() - 31, "cut to {length}");
    }
    for at in 0..whole.len() - 128 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x81;
        if let Ok(read) = file(&damaged).1 {
            read.keys().for_each(|key| drop(read.load(key)));
        }
    }
}
