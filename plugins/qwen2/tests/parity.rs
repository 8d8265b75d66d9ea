//! Agreement with transformers, in values and in the tensors of full-size checkpoints.

use zoo_core::{LlmDescriptor, Precision};
use zoo_tests::golden;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    golden::check(&zoo_qwen2::PLUGIN, GOLDEN);
}

#[test]
fn manifests() {
    zoo_tests::manifest::check(&zoo_qwen2::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    golden::check_half(&zoo_qwen2::PLUGIN, GOLDEN);
}

#[test]
fn full_size() {
    let inspection = zoo_tests::manifest::inspect(&zoo_qwen2::PLUGIN, GOLDEN, "qwen2-7b-instruct");
    let descriptor: LlmDescriptor = inspection.descriptor().unwrap();
    assert_eq!(inspection.tensors.len(), 3 + 28 * 12);
    assert_eq!(descriptor.parameters, 7_615_616_512);
    assert_eq!(descriptor.cache_bytes_per_position, 28 * 2 * 4 * 128 * Precision::F32.bytes());
}
