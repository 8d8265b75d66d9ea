//! Numbers for tests: they look random and are the same on every machine.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use zoo_core::weights::{Init, TensorInfo};

/// Uniform in -1..1, f32 on the CPU.
#[must_use]
pub fn uniform(shape: &[usize], seed: u32) -> Tensor {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    tensor(shape, next)
}

/// Roughly normal with mean 0 and variance 1: the sum of four uniform numbers. f32 on the CPU.
#[must_use]
pub fn normal(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    tensor(shape, || (0..4).map(|_| uniform()).sum::<f32>() * 1.7)
}

/// Random weights of a model that asks for these tensors, by key: roughly normal about the start that the model gives
/// them, with deviations that leave no tensor neutral: 0.2 where the start is a constant, its bound where it is uniform
/// (so that a map keeps the size of what it maps), and 1 where it is normal, however narrow that start is.
#[must_use]
pub fn weights(manifest: Vec<TensorInfo>) -> BTreeMap<String, Tensor> {
    let random = |(info, seed): (TensorInfo, u64)| {
        let (mean, deviation) = match info.init {
            Init::Const(value) => (value, 0.2),
            Init::Normal { mean, .. } => (mean, 1.0),
            Init::Uniform { bound } => (0.0, bound),
        };
        let weights = normal(&info.shape, seed).affine(deviation, mean);
        (info.key, weights.unwrap_or_else(|e| panic!("weights {:?}: {e}", info.shape)))
    };
    manifest.into_iter().zip(1..).map(random).collect()
}

fn tensor(shape: &[usize], mut next: impl FnMut() -> f32) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap_or_else(|e| panic!("noise {shape:?}: {e}"))
}
