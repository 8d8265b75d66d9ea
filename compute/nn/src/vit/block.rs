//! One transformer block.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::{Init, Params};

use super::config::ViTConfig;
use crate::attention::{AttentionStyle, SelfAttention};
use crate::axial::Turns;
use crate::linear::Residual;
use crate::mlp::{Mlp, MlpStyle};
use crate::norm::Norm;

/// `x + ls1 · attn(norm1 x)`, then `x + ls2 · mlp(norm2 x)`.
pub(super) struct Block {
    norm1: Norm,
    attn: SelfAttention,
    ls1: Option<Tensor>,
    norm2: Norm,
    mlp: Mlp,
    ls2: Option<Tensor>,
}

impl Block {
    pub(super) fn load(params: &Params, config: &ViTConfig) -> Result<Self> {
        let (width, style) = (config.embed_dim, &config.style);
        let scale = |name: &str| -> Result<Option<Tensor>> {
            if !style.layer_scale {
                return Ok(None);
            }
            Ok(Some(params.pp(name).get("gamma", width, Init::Const(1.0))?))
        };
        let norm = |name: &str| Norm::load(style.norm.into(), &params.pp(name), width, style.norm_eps);
        let attention = AttentionStyle {
            heads: config.num_heads,
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
            mlp: Mlp::load(&params.pp("mlp"), width, config.mlp_dim, mlp)?,
            ls2: scale("ls2")?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, turns: Option<&Turns>) -> Result<Tensor> {
        let residual = Residual { shortcut: x, scale: self.ls1.as_ref() };
        let x = self.attn.forward_turned(&self.norm1, x, turns, Some(residual))?;
        let residual = Residual { shortcut: &x, scale: self.ls2.as_ref() };
        self.mlp.forward_normed(&self.norm2, &x, Some(residual))
    }
}
