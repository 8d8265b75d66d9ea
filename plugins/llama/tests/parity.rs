//! Agreement with transformers, in values and in the tensors of full-size checkpoints.

use zoo_core::{LlmDescriptor, Precision};
use zoo_tests::golden;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    golden::check(&zoo_llama::PLUGIN, GOLDEN);
}

#[test]
fn manifests() {
    zoo_tests::manifest::check(&zoo_llama::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    golden::check_half(&zoo_llama::PLUGIN, GOLDEN);
}

/// What the released checkpoints leave to the language model: 776, 848 and 993 tensors, of which 485, 485 and 450 are
/// the connector's.
#[test]
fn full_sizes() {
    let rows = [
        ("llama-3-8b-instruct", 776 - 485, 8_030_261_248, 32 * 2 * 8 * 128),
        ("vicuna-13b-v1.5", 848 - 485, 13_015_864_320, 40 * 2 * 40 * 128),
        ("nous-hermes-2-yi-34b", 993 - 450, 34_388_917_248, 60 * 2 * 8 * 128),
    ];
    for (row, tensors, parameters, cached) in rows {
        let inspection = zoo_tests::manifest::inspect(&zoo_llama::PLUGIN, GOLDEN, row);
        let descriptor: LlmDescriptor = inspection.descriptor().unwrap();
        assert_eq!(inspection.tensors.len(), tensors, "{row}");
        assert_eq!(descriptor.parameters, parameters, "{row}");
        assert_eq!(descriptor.cache_bytes_per_position, cached * Precision::F32.bytes(), "{row}");
    }
}
