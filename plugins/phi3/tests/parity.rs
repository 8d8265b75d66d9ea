//! Agreement with transformers, in values and in the tensors of full-size checkpoints.

use zoo_core::{LlmDescriptor, Precision};
use zoo_tests::golden;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    golden::check(&zoo_phi3::PLUGIN, GOLDEN);
}

#[test]
fn manifests() {
    zoo_tests::manifest::check(&zoo_phi3::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    golden::check_half(&zoo_phi3::PLUGIN, GOLDEN);
}

/// What the released checkpoint leaves to the language model: 680 tensors, of which 485 are the connector's.
#[test]
fn full_size() {
    let inspection = zoo_tests::manifest::inspect(&zoo_phi3::PLUGIN, GOLDEN, "phi-3-mini-4k-instruct");
    let descriptor: LlmDescriptor = inspection.descriptor().unwrap();
    assert_eq!(inspection.tensors.len(), 680 - 485);
    assert_eq!(descriptor.parameters, 3_821_079_552);
    assert_eq!(descriptor.cache_bytes_per_position, 32 * 2 * 32 * 96 * Precision::F32.bytes());
}
