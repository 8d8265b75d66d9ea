//! Numbers from a seed, made tensor by tensor while a model opens: for measuring what needs no training. Nothing is
//! written to a disk, and there is never more than one tensor beside what the model keeps.

use candle_core::{DType, Device, Tensor};
use half::bf16;
use rayon::prelude::*;

use super::Init;
use crate::Result;

/// The tensor `key` on the CPU: independent numbers of the mean and deviation of `init`, uniform, the same for the
/// same seed, key and position whatever the number of threads.
pub(super) fn tensor(seed: u64, key: &str, shape: &[usize], init: Init, dtype: DType) -> Result<Tensor> {
    let (centre, bound) = match init {
        Init::Const(value) => (value as f32, 0.0),
        Init::Normal { mean, std } => (mean as f32, (std * 3f64.sqrt()) as f32),
        Init::Uniform { bound } => (0.0, bound as f32),
    };
    let stream = key.bytes().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)));
    let at = |i: usize| {
        // The upper 24 bits: as many as an f32 holds.
        let unit = (mix(stream.wrapping_add(i as u64)) >> 40) as f32 / 8_388_608.0 - 1.0;
        centre + bound * unit
    };
    let indices = (0..shape.iter().product::<usize>()).into_par_iter();
    Ok(match dtype {
        DType::BF16 => {
            let values: Vec<bf16> = indices.map(|i| bf16::from_f32(at(i))).collect();
            Tensor::from_vec(values, shape, &Device::Cpu)?
        }
        _ => Tensor::from_vec(indices.map(at).collect::<Vec<f32>>(), shape, &Device::Cpu)?.to_dtype(dtype)?,
    })
}

/// One step of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(seed: u64, key: &str, init: Init, dtype: DType) -> Vec<f32> {
        let made = tensor(seed, key, &[200, 50], init, dtype).unwrap();
        made.flatten_all().unwrap().to_dtype(DType::F32).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_recipe() {
        let normal = values(1, "a", Init::Normal { mean: 1.0, std: 0.5 }, DType::F32);
        let mean = normal.iter().sum::<f32>() / normal.len() as f32;
        let std = (normal.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / normal.len() as f32).sqrt();
        assert!((mean - 1.0).abs() < 0.02 && (std - 0.5).abs() < 0.01, "{mean} {std}");
        let uniform = values(1, "a", Init::Uniform { bound: 0.25 }, DType::BF16);
        assert!(uniform.iter().all(|x| x.abs() <= 0.25) && uniform.iter().any(|&x| x < -0.2));
        assert!(values(1, "a", Init::Const(3.0), DType::F16).iter().all(|&x| x == 3.0));
    }

    #[test]
    fn seed_and_key_decide() {
        let init = Init::Uniform { bound: 1.0 };
        let first = values(1, "a", init, DType::F32);
        assert_eq!(first, values(1, "a", init, DType::F32));
        assert_ne!(first, values(2, "a", init, DType::F32));
        assert_ne!(first, values(1, "b", init, DType::F32));
    }
}
