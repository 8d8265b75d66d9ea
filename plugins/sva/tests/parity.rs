//! Against a plain torch rendering of the Spatial Vision Aggregator.

use zoo_core::Precision;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    zoo_tests::golden::check(&zoo_sva::PLUGIN, GOLDEN);
}

#[test]
fn half_precision_rounds_but_does_not_go_astray() {
    for precision in [Precision::Bf16, Precision::F16] {
        zoo_tests::golden::check_cosine(&zoo_sva::PLUGIN, GOLDEN, precision, 0.999);
    }
}
