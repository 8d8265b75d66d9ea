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
            Ok(_) => assert!(path.ends_with("whole.toml"), "{} was accepted", path.display()),
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
