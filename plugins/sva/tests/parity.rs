//! Against a plain torch rendering of the Spatial Vision Aggregator.

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    zoo_tests::golden::check(&zoo_sva::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    zoo_tests::golden::check_half(&zoo_sva::PLUGIN, GOLDEN);
}
