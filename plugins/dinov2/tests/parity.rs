//! Agreement with the reference implementations, in values and in the tensors of full-size checkpoints.

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    zoo_tests::golden::check(&zoo_dinov2::PLUGIN, GOLDEN);
}

#[test]
fn manifests() {
    zoo_tests::manifest::check(&zoo_dinov2::PLUGIN, GOLDEN);
}
