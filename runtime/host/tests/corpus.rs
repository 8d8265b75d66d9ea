//! The corpus of the fuzz target `manifest`, as a plain test: every file but the good one is refused with a reason.

use std::path::PathBuf;

use zoo_host::plugins::Manifest;

#[test]
fn bad_manifests_are_refused_with_a_reason() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/manifest");
    let mut refused = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        match Manifest::parse(&text, "echo") {
            Ok(_) => assert!(path.ends_with("whole.toml"), "{} was accepted", path.display()),
            Err(why) => {
                refused += 1;
                assert!(!why.is_empty(), "{}", path.display());
            }
        }
    }
    assert!(refused >= 12, "only {refused} bad files in the corpus");
}
