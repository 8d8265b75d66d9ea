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
            Ok(_) => {
                // What a fuzzer found (`found-…`) may be either.
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let good = name == "whole.toml" || name.starts_with("found-");
                assert!(good, "{} was accepted", path.display());
            }
            Err(why) => {
                refused += 1;
                assert!(!why.is_empty(), "{}", path.display());
            }
        }
    }
    assert!(refused >= 12, "only {refused} bad files in the corpus");
}
