//! One transformer block.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::{Init, Params};

use super::config::ViTStyle;
use crate::attention::{AttentionStyle, SelfAttention};
use crate::axial::Turns;
use crate::linear::Residual;
use crate::mlp::{Mlp, MlpStyle};
use crate::norm::Norm;

/// Sizes of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockSize {
    pub width: usize,
    pub heads: usize,
    pub mlp: usize,
}

/// `x + ls1 · attn(norm1 x)`, then `x + ls2 · mlp(norm2 x)`.
pub(crate) struct Block {
    norm1: Norm,
    attn: SelfAttention,
    ls1: Option<Tensor>,
    norm2: Norm,
    mlp: Mlp,
    ls2: Option<Tensor>,
}

impl Block {
    pub fn load(params: &Params, size: BlockSize, style: &ViTStyle) -> Result<Self> {
        let width = size.width;
        let scale = |name: &str| -> Result<Option<Tensor>> {
            if !style.layer_scale {
                return Ok(None);
            }
            Ok(Some(params.pp(name).get("gamma", width, Init::Const(1.0))?))
        };
        let norm = |name: &str| Norm::load(style.norm.into(), &params.pp(name), width, style.norm_eps);
        let attention = AttentionStyle {
            heads: size.heads,
            qkv_bias: style.qkv_bias,
            bias: style.bias,
            norm: style.attn_norm.then_some(style.norm_eps),
            normed: style.qk_norm.then_some(style.norm_eps),
        };
        let mlp = MlpStyle {
            kind: style.act.into(),
            bias: style.bias,
            norm: style.mlp_norm.then_some(style.norm_eps),
        };
        Ok(Self {
            norm1: norm("norm1")?,
            attn: SelfAttention::load_styled(&params.pp("attn"), width, attention)?,
            ls1: scale("ls1")?,
            norm2: norm("norm2")?,
            mlp: Mlp::load(&params.pp("mlp"), width, size.mlp, mlp)?,
            ls2: scale("ls2")?,
        })
    }

    pub fn forward(&self, x: &Tensor, turns: Option<&Turns>) -> Result<Tensor> {
        let residual = Residual { shortcut: x, scale: self.ls1.as_ref() };
        let x = self.attn.forward_turned(&self.norm1, x, turns, Some(residual))?;
        self.feed_forward(x)
    }

    /// With `bias`, f32 `[heads, T, T]`, added to the scores of attention.
    pub fn forward_biased(&self, x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let residual = Residual { shortcut: x, scale: self.ls1.as_ref() };
        let x = self.attn.forward_biased(&self.norm1, x, bias, Some(residual))?;
        self.feed_forward(x)
    }

    fn feed_forward(&self, x: Tensor) -> Result<Tensor> {
        let residual = Residual { shortcut: &x, scale: self.ls2.as_ref() };
        self.mlp.forward_normed(&self.norm2, &x, Some(residual))
    }
}
