//! Agreement with transformers, in values and in the tensors of full-size checkpoints.

use zoo_core::{LlmDescriptor, Precision};
use zoo_tests::golden;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    golden::check(&zoo_gemma::PLUGIN, GOLDEN);
}

#[test]
fn manifests() {
    zoo_tests::manifest::check(&zoo_gemma::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    golden::check_half(&zoo_gemma::PLUGIN, GOLDEN);
}

#[test]
fn full_sizes() {
    let rows = [
        ("gemma-7b-it", 2 + 28 * 9, 8_537_680_896, 28 * 2 * 16 * 256),
        ("gemma-2-9b-it", 2 + 42 * 11, 9_241_705_984, 42 * 2 * 8 * 256),
    ];
    for (row, tensors, parameters, cached) in rows {
        let inspection = zoo_tests::manifest::inspect(&zoo_gemma::PLUGIN, GOLDEN, row);
        let descriptor: LlmDescriptor = inspection.descriptor().unwrap();
        assert_eq!(inspection.tensors.len(), tensors, "{row}");
        assert_eq!(descriptor.parameters, parameters, "{row}");
        assert_eq!(descriptor.cache_bytes_per_position, cached * Precision::F32.bytes(), "{row}");
    }
}
