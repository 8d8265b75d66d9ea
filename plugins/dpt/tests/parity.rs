//! Agreement with the reference implementations, in values and in the tensors of full-size checkpoints.

use zoo_tests::golden;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    golden::check(&zoo_dpt::PLUGIN, GOLDEN);
}

#[test]
fn manifests() {
    zoo_tests::manifest::check(&zoo_dpt::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    golden::check_half(&zoo_dpt::PLUGIN, GOLDEN);
}
