//! The corpora of the fuzz targets `weights` and `gguf`, as plain tests: every file but one is refused in words, none
//! panics.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::PathBuf;

use zoo_core::weights::Checkpoint;

/// All files of the corpus but `whole`, which holds the tensors `keys`, are refused with their names.
#[track_caller]
fn check(corpus: &str, keys: &[&str], least: usize) {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(corpus);
    let (mut refused, mut faults) = (0, Vec::new());
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let read = Checkpoint::open(std::slice::from_ref(&path)).and_then(|checkpoint| {
            let keys: Vec<_> = checkpoint.keys().map(str::to_owned).collect();
            keys.iter().try_for_each(|key| checkpoint.load(key).map(|_| ()))?;
            Ok(keys)
        });
        match read {
            Ok(found) if path.ends_with("whole") && found == keys => {}
            Ok(found) => faults.push(format!("{} was read as {found:?}", path.display())),
            Err(e) => {
                println!("{e}");
                refused += 1;
                if !e.to_string().contains(&*path.to_string_lossy()) {
                    faults.push(format!("no file name in: {e}"));
                }
            }
        }
    }
    assert!(refused >= least, "only {refused} files in the corpus");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn lying_weights_files_are_refused() {
    check("weights", &["t"], 20);
}

#[test]
fn lying_gguf_files_are_refused() {
    check("gguf", &["blocks", "large", "t"], 24);
}
