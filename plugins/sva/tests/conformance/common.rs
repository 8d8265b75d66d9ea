//! Small connectors with weights made up on the spot.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use zoo_core::weights::Weights;
use zoo_core::{ConnectorInputs, Spec};
use zoo_sva::Sva;

pub type Tensors = BTreeMap<String, Tensor>;

/// Two encoders, one of them with windows of 2×2, under 4×4 queries; `change` overrides.
pub fn spec(change: Value) -> Spec {
    let mut arch = json!({
        "vision_hidden_size": 16, "inputs": [6, 10], "token_lens": [16, 64], "output": 12,
        "image_token_len": 16, "query_num_list": [16], "connector_depth": 1
    });
    for (key, value) in change.as_object().unwrap() {
        arch[key] = value.clone();
    }
    let arch = arch.as_object().unwrap().clone();
    Spec { id: "demo".into(), architecture: "sva".into(), arch, precision: Default::default() }
}

/// Numbers in -1.7..1.7 with mean 0 and variance 1, the same on every machine.
pub fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 12f32.sqrt()
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(next).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Random tensors for everything that `spec` asks for, by published key.
pub fn tensors(spec: &Spec) -> Tensors {
    let record = Weights::record(DType::F32);
    Sva::load(spec, &record, &Device::Cpu).unwrap();
    let tensor = |(seed, info): (usize, &zoo_core::weights::TensorInfo)| {
        let noise = noise(&info.shape, seed as u64 + 1);
        let tensor = match info.shape[..] {
            [_, inputs] => noise * (1.0 / (inputs as f64).sqrt()),
            _ if info.key.ends_with("weight") => (noise * 0.2).unwrap() + 1.0,
            _ => noise * 0.5,
        };
        (info.key.clone(), tensor.unwrap())
    };
    record.manifest().iter().enumerate().map(tensor).collect()
}

pub fn load(spec: &Spec, tensors: &Tensors) -> Sva {
    let weights = Weights::tensors(tensors.clone(), DType::F32);
    Sva::load(spec, &weights, &Device::Cpu).unwrap()
}

/// Features for images of these sizes.
pub fn inputs(spec: &Spec, sizes: &[(u32, u32)]) -> ConnectorInputs {
    let numbers = |key: &str| -> Vec<usize> { serde_json::from_value(spec.arch[key].clone()).unwrap() };
    let shapes = numbers("inputs").into_iter().zip(numbers("token_lens"));
    let features = shapes.enumerate().map(|(k, (c, n))| noise(&[sizes.len(), n, c], 1000 + k as u64));
    ConnectorInputs { features: features.collect(), image_sizes: sizes.to_vec() }
}

/// All bits of a tensor.
pub fn bits(tensor: &Tensor) -> Vec<u32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|x| x.to_bits()).collect()
}
