//! The corpus of the fuzz target `registry`, as a plain test: every file but the good one has a problem with a place.

use std::path::PathBuf;

use zoo_registry::Registry;

#[test]
fn bad_registries_have_problems_with_a_place() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/registry");
    let mut refused = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        match Registry::parse(&text, "x.toml") {
            Ok(_) => {
                // What a fuzzer found (`found-…`) may be either.
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let good = name == "whole.toml" || name.starts_with("found-");
                assert!(good, "{} was accepted", path.display());
            }
            Err(error) => {
                refused += 1;
                assert!(!error.problems.is_empty(), "{}", path.display());
                for problem in &error.problems {
                    assert!(problem.to_string().starts_with("x.toml:"), "{problem}");
                }
            }
        }
    }
    assert!(refused >= 8, "only {refused} bad files in the corpus");
}
