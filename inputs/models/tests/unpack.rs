//! Shipped models reach the disk whole.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use zoo_models::{ALL, TRILOBITE};

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.filter(|e| e.path().is_file()).map(|e| e.file_name().into_string().unwrap()).collect()
}

#[test]
fn what_is_in_the_folder_is_in_the_program() {
    for model in ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(model.id);
        // How it was made, and how good it is, stay behind.
        let behind = |name: &String| name.ends_with(".py") || name == "accuracy.json";
        let expected: BTreeSet<_> = names(&folder).into_iter().filter(|name| !behind(name)).collect();
        assert_eq!(model.files.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), expected);
        assert!(model.files.is_sorted_by_key(|(name, _)| *name));
    }
}

#[test]
fn it_is_small() {
    assert!(TRILOBITE.size() < 4_500_000, "{} bytes", TRILOBITE.size());
}

#[test]
fn unpacking_twice_is_unpacking_once() {
    let data = tempfile::tempdir().unwrap();
    assert!(!TRILOBITE.is_unpacked(data.path()));
    let folder = TRILOBITE.unpack(data.path()).unwrap();
    assert!(TRILOBITE.is_unpacked(data.path()));
    let touched = |folder: &Path| fs::metadata(folder.join("config.json")).unwrap().modified().unwrap();
    let before = touched(&folder);
    assert_eq!(TRILOBITE.unpack(data.path()).unwrap(), folder);
    assert_eq!(touched(&folder), before);
    // Nothing temporary is left beside it.
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
    for (name, content) in TRILOBITE.files {
        assert_eq!(fs::read(folder.join(name)).unwrap(), *content, "{name}");
    }
}

#[test]
fn a_damaged_file_is_replaced() {
    let data = tempfile::tempdir().unwrap();
    let folder = TRILOBITE.unpack(data.path()).unwrap();
    fs::write(folder.join("zoo.toml"), "template = 1").unwrap();
    fs::remove_file(folder.join("config.json")).unwrap();
    assert!(!TRILOBITE.is_unpacked(data.path()));
    TRILOBITE.unpack(data.path()).unwrap();
    assert_eq!(names(&folder).len(), TRILOBITE.files.len());
    let original = TRILOBITE.files.iter().find(|(name, _)| *name == "zoo.toml").unwrap().1;
    assert_eq!(fs::read(folder.join("zoo.toml")).unwrap(), original);
}

#[test]
fn many_at_once_all_find_it() {
    let data = tempfile::tempdir().unwrap();
    let into = data.path();
    let folders: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..4).map(|_| scope.spawn(|| TRILOBITE.unpack(into))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap().unwrap()).collect()
    });
    assert!(folders.iter().all(|folder| folder == &folders[0]));
    assert_eq!(names(&folders[0]).len(), TRILOBITE.files.len());
}

#[test]
fn where_nothing_can_be_written_the_message_says_so() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("a-file");
    fs::write(&file, "").unwrap();
    let error = TRILOBITE.unpack(&file).unwrap_err().to_string();
    for part in ["`trilobite` cannot be unpacked", "a-file", "ZOO_DATA"] {
        assert!(error.contains(part), "no `{part}` in: {error}");
    }
}
