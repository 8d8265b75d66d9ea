//! What the projectors promise, without files.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::cell::Cell;
use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use serde_json::{Value, json};
use zoo_core::weights::Weights;
use zoo_core::{Connector, ConnectorInputs, Grid, Spec};
use zoo_projectors::Projector;

fn spec(architecture: &str, arch: Value) -> Spec {
    let arch = arch.as_object().unwrap().clone();
    Spec { id: "demo".into(), architecture: architecture.into(), arch, precision: Default::default() }
}

/// Small numbers for every architecture with weights.
fn specs() -> Vec<Spec> {
    vec![
        spec("linear", json!({"inputs": [6, 4], "output": 8})),
        spec("mlp_gelu", json!({"inputs": [6, 4], "output": 8, "depth": 3})),
        spec("se_mlp", json!({"inputs": [6, 4], "output": 8})),
        spec("c_abstractor_released", json!({"inputs": [6, 4], "output": 8, "hidden": 6})),
        spec(
            "c_abstractor",
            json!({"inputs": [6, 4], "output": 8, "token_len": 36, "image_token_len": 16, "hidden": 6, "depth": 2}),
        ),
        spec("resampler", json!({"inputs": [6, 4], "output": 8, "image_token_len": 16, "heads": 2})),
    ]
}

fn manifest(spec: &Spec) -> Vec<(String, Vec<usize>)> {
    let weights = Weights::record(DType::F32);
    Projector::load(spec, &weights, &Device::Cpu).unwrap();
    weights.manifest().into_iter().map(|t| (t.key, t.shape)).collect()
}

thread_local! {
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// Other numbers at each call, the same in every run: a test has its thread to itself.
fn noise(shape: &[usize]) -> Tensor {
    zoo_tests::noise::normal(shape, SEED.replace(SEED.get() + 1))
}

fn inputs(tokens: [usize; 2]) -> ConnectorInputs {
    let features = vec![noise(&[2, tokens[0], 6]), noise(&[2, tokens[1], 4])];
    ConnectorInputs { features, image_sizes: vec![(640, 400), (300, 300)] }
}

#[test]
fn every_parameter_gets_a_gradient() {
    for spec in specs() {
        let vars: BTreeMap<String, Var> = manifest(&spec)
            .into_iter()
            .map(|(key, shape)| (key, Var::from_tensor(&noise(&shape)).unwrap()))
            .collect();
        let tensors = vars.iter().map(|(key, var)| (key.clone(), var.as_tensor().clone())).collect();
        let weights = Weights::tensors(tensors, DType::F32);
        let projector = Projector::load(&spec, &weights, &Device::Cpu).unwrap();
        let fused = projector.forward(&inputs([36, 36])).unwrap();
        let block = projector.block(&fused, 0).unwrap().tokens;
        let gradients = (&block * noise(block.dims())).unwrap().sum_all().unwrap().backward().unwrap();
        for (key, var) in &vars {
            let gradient = gradients.get(var).unwrap_or_else(|| panic!("{}: {key}", spec.architecture));
            let size: f32 = gradient.abs().unwrap().sum_all().unwrap().to_scalar().unwrap();
            assert!(size > 0.0 && size.is_finite(), "{}: {key} got {size}", spec.architecture);
        }
    }
}

#[test]
fn sides_are_known_beforehand() {
    for mut spec in specs() {
        spec.arch.insert("token_len".into(), json!(36));
        let tensors = manifest(&spec).into_iter().map(|(key, shape)| (key, noise(&shape))).collect();
        let weights = Weights::tensors(tensors, DType::F32);
        let projector = Projector::load(&spec, &weights, &Device::Cpu).unwrap();
        let fused = projector.forward(&inputs([36, 36])).unwrap();
        assert_eq!(Some(fused.grid.h), projector.descriptor().side, "{}", spec.architecture);
        assert_eq!(fused.tokens.dims(), [2, fused.grid.cells(), 8]);
        let parameters: usize =
            manifest(&spec).iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(projector.descriptor().parameters, parameters as u64);
    }
}

#[test]
fn keys_of_a_two_layer_mlp() {
    let spec = spec("mlp_gelu", json!({"inputs": [1024], "output": 4096, "newline": false, "unpad": false}));
    let expected = [
        ("model.mm_projector.0.weight", vec![4096, 1024]),
        ("model.mm_projector.0.bias", vec![4096]),
        ("model.mm_projector.2.weight", vec![4096, 4096]),
        ("model.mm_projector.2.bias", vec![4096]),
    ];
    let manifest = manifest(&spec);
    let manifest: Vec<_> = manifest.iter().map(|(key, shape)| (key.as_str(), shape.clone())).collect();
    assert_eq!(manifest, expected);
}

#[test]
fn identity_needs_no_weights_at_all() {
    let spec = spec("identity", json!({"inputs": [6, 4], "output": 10, "newline": false}));
    assert!(manifest(&spec).is_empty());
    let projector = Projector::load(&spec, &Weights::record(DType::F32), &Device::Cpu).unwrap();
    let inputs = inputs([16, 16]);
    let fused = projector.forward(&inputs).unwrap();
    let first = fused.tokens.narrow(2, 0, 6).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(first, inputs.features[0].flatten_all().unwrap().to_vec1::<f32>().unwrap());
    // 640×400 on 4×4: ⌊400 · 4/640⌋ = 2 rows.
    assert_eq!(projector.block(&fused, 0).unwrap().grid, Grid { h: 2, w: 4 });
}

#[test]
fn token_counts_must_agree() {
    let spec = &specs()[0];
    let tensors = manifest(spec).into_iter().map(|(key, shape)| (key, noise(&shape))).collect();
    let projector = Projector::load(spec, &Weights::tensors(tensors, DType::F32), &Device::Cpu).unwrap();
    let message = |tokens| projector.forward(&inputs(tokens)).unwrap_err().to_string();
    assert_eq!(
        message([16, 36]),
        "demo: the encoders give [16, 36] tokens; side by side on channels they must be equally many"
    );
    assert!(message([15, 15]).contains("15 tokens are no square grid"));
}
