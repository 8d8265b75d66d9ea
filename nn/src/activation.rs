//! Activations, by the names that architecture tables use.

use candle_core::Tensor;
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
    /// Applies it; any shape, differentiable.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the device refuses.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::GeluErf => x.gelu_erf()?,
            Self::GeluTanh => x.gelu()?,
            Self::QuickGelu => (x * candle_nn::ops::sigmoid(&(x * 1.702)?)?)?,
            Self::Silu => x.silu()?,
        })
    }
}
