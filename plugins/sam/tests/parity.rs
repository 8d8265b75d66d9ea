//! Agreement with the reference implementations, in values and in the tensors of full-size checkpoints.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use candle_core::{DType, Device};
use zoo_core::weights::Weights;
use zoo_core::{Precision, Spec};
use zoo_tests::golden;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    golden::check(&zoo_sam::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    golden::check_half(&zoo_sam::PLUGIN, GOLDEN);
}

#[test]
fn manifests() {
    zoo_tests::manifest::check(&zoo_sam::PLUGIN, GOLDEN);
}

/// A file without the encoder is refused, where the released code of Cambrian-1 goes on with random numbers.
#[test]
fn nothing_is_left_at_random() {
    let arch = serde_json::json!({"embed_dim": 36, "depth": 3, "num_heads": 3, "mlp_dim": 62, "patch_size": 4,
        "image_size": 44, "window_size": 4, "global_attn_indexes": [3]});
    let mut spec = Spec {
        id: "small".into(),
        architecture: "sam-vit".into(),
        arch: arch.as_object().unwrap().clone(),
        precision: Precision::F32,
    };
    let open = |spec: &Spec| {
        let weights = Weights::open(&[format!("{GOLDEN}/original.safetensors").into()], DType::F32).unwrap();
        zoo_sam::load(spec, &weights, &Device::Cpu).err().unwrap().to_string()
    };
    let text = open(&spec);
    assert!(text.contains("`global_attn_indexes` names block 3 of 3"), "{text}");
    spec.arch["global_attn_indexes"] = serde_json::json!([0]);
    let text = open(&spec);
    assert!(text.contains("image_encoder.blocks.1.attn.rel_pos_h"), "{text}");
}
