//! What weights take in memory is what plans count, on every machine: its kernels hold them in their own form. A process
//! of its own, since the peak of resident memory is that of all threads.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use candle_core::{DType, Device};
use serde_json::json;
use zoo_core::weights::Weights;
use zoo_core::{Precision, Spec};
use zoo_measure::memory;
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle};

/// Threads, tables, a few rows of each matrix while it is packed.
const BESIDE: u64 = 16 << 20;

#[test]
fn bf16_weights_take_what_was_planned() {
    // 62 million parameters.
    let spec: Spec = serde_json::from_value(json!({"id": "held", "architecture": "decoder", "arch": {
        "hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 4, "num_attention_heads": 16,
        "num_key_value_heads": 4, "vocab_size": 4096, "max_position_embeddings": 64, "rms_norm_eps": 1e-5
    }}))
    .unwrap();
    let config = DecoderConfig::from_spec(&spec, DecoderStyle::LLAMA).unwrap();
    let record = Weights::record(DType::BF16);
    Decoder::open("held", config.clone(), &record, &Device::Cpu).unwrap();
    let planned: u64 = record.manifest().iter().map(|t| Precision::Bf16.held(&t.shape)).sum();
    let parameters: u64 = record.manifest().iter().map(|t| t.shape.iter().product::<usize>() as u64).sum();
    assert!((2 * parameters..2 * parameters + (1 << 20)).contains(&planned), "{planned} for {parameters}");
    let before = memory::resident().unwrap();
    let model = Decoder::open("held", config, &Weights::random(1, DType::BF16), &Device::Cpu).unwrap();
    let took = memory::peak().unwrap() - before;
    assert!(took <= planned + BESIDE, "{took} bytes at most, {planned} planned");
    assert!(memory::resident().unwrap() - before + BESIDE >= planned, "less is held than was planned");
    drop(model);
}
