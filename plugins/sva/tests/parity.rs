//! Against a plain torch rendering of the Spatial Vision Aggregator.

#[test]
fn parity() {
    zoo_tests::golden::check(&zoo_sva::PLUGIN, concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
}
