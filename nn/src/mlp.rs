//! The feed-forward half of a transformer block.

use candle_core::{D, Tensor};
use zoo_core::Result;
use zoo_core::weights::Params;

use crate::activation::Activation;
use crate::linear::{Epilogue, Linear, Residual};

/// How a block's feed-forward network is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MlpKind {
    /// `fc2(act(fc1 x))`.
    Plain(Activation),
    /// `w3(silu(a) · b)` with `[a, b] = w12 x` (arXiv 2002.05202), both halves in one matrix as in DINOv2.
    SwiGlu,
}

/// The feed-forward network. Tensors: `fc1`, `fc2` or, gated, `w12`, `w3`.
#[derive(Debug, Clone)]
pub struct Mlp {
    kind: MlpKind,
    first: Linear,
    second: Linear,
}

impl Mlp {
    /// Reads a network of `channels` inputs and outputs with `inner` hidden channels (of a gated one: the width
    /// after gating).
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, inner: usize, kind: MlpKind) -> Result<Self> {
        let (first, wide, second) = match kind {
            MlpKind::Plain(_) => ("fc1", inner, "fc2"),
            MlpKind::SwiGlu => ("w12", 2 * inner, "w3"),
        };
        Ok(Self {
            kind,
            first: Linear::load(&params.pp(first), channels, wide, true)?,
            second: Linear::load(&params.pp(second), inner, channels, true)?,
        })
    }

    /// `[…, channels]` to the same shape; added to `residual` if there is one.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        let x = match self.kind {
            MlpKind::Plain(act) => {
                self.first.forward_with(x, Epilogue { activation: Some(act), residual: None })?
            }
            MlpKind::SwiGlu => {
                let x = self.first.forward(x)?;
                let inner = x.dim(D::Minus1)? / 2;
                let gate = Activation::Silu.forward(&x.narrow(D::Minus1, 0, inner)?)?;
                (gate * x.narrow(D::Minus1, inner, inner)?)?
            }
        };
        self.second.forward_with(&x, Epilogue { activation: None, residual })
    }
}
