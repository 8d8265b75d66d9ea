//! Against plain torch and timm.

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    zoo_tests::golden::check(&zoo_projectors::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    zoo_tests::golden::check_half(&zoo_projectors::PLUGIN, GOLDEN);
}
