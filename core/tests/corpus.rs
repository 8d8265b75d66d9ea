//! The corpus of the fuzz target `weights`, as a plain test: every file but one is refused in words, none panics.

use std::path::PathBuf;

use zoo_core::weights::Checkpoint;

#[test]
fn lying_weights_files_are_refused() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/weights");
    let (mut refused, mut faults) = (0, Vec::new());
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let read = Checkpoint::open(std::slice::from_ref(&path)).and_then(|checkpoint| {
            let keys: Vec<_> = checkpoint.keys().map(str::to_owned).collect();
            keys.iter().try_for_each(|key| checkpoint.load(key).map(|_| ()))?;
            Ok(keys)
        });
        match read {
            Ok(keys) if path.ends_with("whole") && keys == ["t"] => {}
            Ok(keys) => faults.push(format!("{} was read as {keys:?}", path.display())),
            Err(e) => {
                println!("{e}");
                refused += 1;
                if !e.to_string().contains(&*path.to_string_lossy()) {
                    faults.push(format!("no file name in: {e}"));
                }
            }
        }
    }
    assert!(refused >= 20, "only {refused} files in the corpus");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
