//! Activations, by the names that architecture tables use.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, WithDType};
use serde::{Deserialize, Serialize};
use zoo_core::Result;
use zoo_kernels::{Element, written};

use crate::dispatch::{self, Numbers, Path, with};
use crate::graph;
use crate::linear::pull::{activated, deactivated};

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
        if let Path::Tracked(numbers) = Path::of([x]) {
            return Ok(with!(numbers, T => self.tracked::<T>(x)?));
        }
        if dispatch::plain([x]) {
            // In one pass over all cores, where candle's own take one to four passes on one.
            if Numbers::of(x.dtype()).is_some() {
                return Ok(x.contiguous()?.apply_op1_no_bwd(&self)?);
            }
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
        let out = match storage {
            CpuStorage::F32(x) => CpuStorage::F32(self.map(&x[start..end])?),
            CpuStorage::BF16(x) => CpuStorage::BF16(self.map(&x[start..end])?),
            _ => candle_core::bail!("activations need f32 or bf16"),
        };
        Ok((out, layout.shape().clone()))
    }
}

impl Activation {
    fn tracked<T: Element + WithDType>(self, x: &Tensor) -> candle_core::Result<Tensor> {
        let source = x.clone();
        graph::operation("activation", [x], activated::<T>(self, x)?, move |gradient, sink| {
            sink.add(&source, deactivated::<T>(self, &source, gradient)?)
        })
    }

    fn map<T: Element>(self, x: &[T]) -> candle_core::Result<Vec<T>> {
        written(x.len(), |out| Ok(zoo_kernels::Activation::from(self).map(x, out)))
    }
}

impl From<Activation> for zoo_kernels::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::GeluErf => Self::GeluErf,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::QuickGelu => Self::QuickGelu,
            Activation::Silu => Self::Silu,
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

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
