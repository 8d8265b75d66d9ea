//! The corpora of the fuzz targets `weights`, `gguf`, `pickle` and `json`, as plain tests: files that lie are refused in
//! words, none panics. What a fuzzer found (`found-…`) may be either.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use zoo_core::weights::Checkpoint;
use zoo_core::{Error, json};

/// Whatever is wrong with how the files of a corpus are read: those called `whole…` must be, to what `expected` says of
/// them, and all others must be refused with their names.
#[track_caller]
fn check<T: std::fmt::Debug>(
    corpus: &str,
    least: usize,
    read: impl Fn(&Path) -> Result<T, Error>,
    expected: impl Fn(&str, &T) -> bool,
) {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(corpus);
    let (mut refused, mut faults) = (0, Vec::new());
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (whole, found) = (name.starts_with("whole"), name.starts_with("found-"));
        match read(&path) {
            Ok(_) if found => {}
            Ok(value) if whole && expected(&name, &value) => {}
            Ok(value) => faults.push(format!("{name} was read as {value:?}")),
            Err(error) if whole => faults.push(format!("{name} was refused: {error}")),
            Err(error) => {
                println!("{error}");
                refused += usize::from(!found);
                if !error.to_string().contains(&name) {
                    faults.push(format!("no file name in: {error}"));
                }
            }
        }
    }
    assert!(refused >= least, "only {refused} files in the corpus");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The names of all tensors, each of which was loaded, or is of an element type that is not read.
fn keys(path: &Path) -> Result<Vec<String>, Error> {
    let checkpoint = Checkpoint::open(&[path.to_owned()])?;
    for key in checkpoint.keys() {
        match checkpoint.load(key) {
            Err(error) if !error.to_string().contains("which is not read") => return Err(error),
            _ => {}
        }
    }
    Ok(checkpoint.keys().map(str::to_owned).collect())
}

#[test]
fn lying_weights_files_are_refused() {
    check("weights", 20, keys, |_, keys| *keys == ["t"]);
}

#[test]
fn lying_gguf_files_are_refused() {
    check("gguf", 24, keys, |_, keys| *keys == ["blocks", "large", "t"]);
}

/// Pickles alone, which the test puts into a file that has one storage.
#[test]
fn lying_pickles_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let framed = |path: &Path| {
        let before = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
        let behind = b"\x80\x02]X\x01\0\0\x000a.\x10\0\0\0\0\0\0\0";
        let pickle = std::fs::read(path).unwrap();
        let place = folder.path().join(path.file_name().unwrap());
        std::fs::write(&place, [&before[..], &pickle, behind, &[0x3c; 256]].concat()).unwrap();
        place
    };
    // Those that torch wrote have more storages than there are here.
    let read = |path: &Path| match path.file_name().unwrap().to_string_lossy().as_ref() {
        "whole-view" => keys(&framed(path)),
        name if name.starts_with("whole") => {
            let opened = Checkpoint::open(&[framed(path)]);
            Ok(opened.map_or_else(
                |error| vec![error.to_string()],
                |file| file.keys().map(str::to_owned).collect(),
            ))
        }
        _ => keys(&framed(path)),
    };
    check("pickle", 20, read, |name, keys| match name {
        "whole-view" => *keys == ["w"],
        "whole-scripted" => keys.len() == 7,
        "whole-module" => keys.len() == 5,
        _ => !keys.is_empty(),
    });
}

#[test]
fn documents_that_are_no_json_are_refused() {
    check("json", 9, json::read::<Value>, |name, value| match name {
        "whole-of-python" => value["b"] == serde_json::json!(["Infinity", "-Infinity"]),
        "whole-twice" => value["a"] == "NaN",
        _ => value["a"] != Value::Null,
    });
}
