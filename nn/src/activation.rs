//! Activations, by the names that architecture tables use.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use zoo_core::Result;

/// An elementwise activation. The forms of GELU differ by up to 4e-3 of the feature scale, so each checkpoint
/// must get the one that it was trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x Φ(x)`, exact: `torch.nn.GELU()`.
    GeluErf,
    /// The tanh approximation: `torch.nn.GELU(approximate="tanh")`.
    GeluTanh,
    /// `x σ(1.702 x)`, as in the original CLIP code.
    QuickGelu,
    /// `x σ(x)`.
    Silu,
}

impl Activation {
    /// Applies it; any shape and float dtype, differentiable.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the device refuses.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        if matches!(x.device(), Device::Cpu) && !x.track_op() {
            // In one pass over all cores, where candle's own take one to four passes on one.
            let wide = x.to_dtype(DType::F32)?.contiguous()?;
            return Ok(wide.apply_op1_no_bwd(&self)?.to_dtype(x.dtype())?);
        }
        Ok(match self {
            Self::GeluErf => x.gelu_erf()?,
            Self::GeluTanh => x.gelu()?,
            Self::QuickGelu => (x * candle_nn::ops::sigmoid(&(x * 1.702)?)?)?,
            Self::Silu => x.silu()?,
        })
    }
}

impl CustomOp1 for Activation {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("activations need contiguous input");
        };
        let x = &storage.as_slice::<f32>()?[start..end];
        let out = match self {
            Self::GeluErf => map(x, |x| 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))),
            Self::GeluTanh => map(x, |x| {
                // 0.5 (1 + tanh u) = σ(2u), u = √(2/π) (x + 0.044715 x³)
                let u = FRAC_2_SQRT_PI / SQRT_2 * x * (1.0 + 0.044_715 * x * x);
                x / (1.0 + (-2.0 * u).exp())
            }),
            Self::QuickGelu => map(x, |x| x / (1.0 + (-1.702 * x).exp())),
            Self::Silu => map(x, |x| x / (1.0 + (-x).exp())),
        };
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// `f` of every element, in parallel.
fn map(x: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    const CHUNK: usize = 16 << 10;
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = f(x);
        }
    });
    out
}

/// The error function to within 4e-7, as a rational function without branches (the one of Eigen and XLA), so that
/// the compiler vectorises it.
fn erf(x: f32) -> f32 {
    const P: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const Q: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    // From here on the error function is one in single precision, and the quotient is not quite.
    const SATURATED: f32 = 3.92;
    let square = x * x;
    let horner = |coefficients: &[f32]| coefficients.iter().fold(0.0, |sum, c| sum * square + c);
    let quotient = x * horner(&P) / horner(&Q);
    if x.abs() >= SATURATED { 1f32.copysign(x) } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 4] =
        [Activation::GeluErf, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu];

    /// The definitions in f64.
    fn exact(activation: Activation, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match activation {
            Activation::GeluErf => 0.5 * x * (1.0 + candle_core::cpu::erf::erf_f64(x / 2f64.sqrt())),
            Activation::GeluTanh => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + u.tanh())
            }
            Activation::QuickGelu => x * sigmoid(1.702 * x),
            Activation::Silu => x * sigmoid(x),
        }
    }

    #[test]
    fn both_paths_are_exact_to_single_precision() {
        let xs: Vec<f32> = (-120_000..=120_000).map(|i| i as f32 * 1e-4).collect();
        let plain = Tensor::from_slice(&xs, xs.len(), &Device::Cpu).unwrap();
        let tracked = candle_core::Var::from_tensor(&plain).unwrap();
        for activation in ALL {
            for input in [&plain, tracked.as_tensor()] {
                let out: Vec<f32> = activation.forward(input).unwrap().to_vec1().unwrap();
                for (&x, y) in xs.iter().zip(out) {
                    let error = (f64::from(y) - exact(activation, f64::from(x))).abs();
                    assert!(
                        error <= 5e-7 * f64::from(x.abs()).max(1.0),
                        "{activation:?}({x}): off by {error:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn large_inputs_and_half_precision() {
        for activation in ALL {
            let x = Tensor::new(&[-1e4f32, 0.0, 1e4], &Device::Cpu).unwrap();
            assert_eq!(activation.forward(&x).unwrap().to_vec1::<f32>().unwrap(), [0.0, 0.0, 1e4]);
            let half = x.to_dtype(DType::BF16).unwrap();
            assert_eq!(activation.forward(&half).unwrap().dtype(), DType::BF16);
        }
    }
}
