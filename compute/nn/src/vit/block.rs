//! One transformer block.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::{Init, Params};

use super::config::ViTConfig;
use crate::attention::SelfAttention;
use crate::linear::Residual;
use crate::mlp::Mlp;
use crate::norm::LayerNorm;

/// `x + ls1 · attn(norm1 x)`, then `x + ls2 · mlp(norm2 x)`.
pub(super) struct Block {
    norm1: LayerNorm,
    attn: SelfAttention,
    ls1: Option<Tensor>,
    norm2: LayerNorm,
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
        Ok(Self {
            norm1: LayerNorm::load(&params.pp("norm1"), width, style.norm_eps)?,
            attn: SelfAttention::load(&params.pp("attn"), width, config.num_heads, style.qkv_bias)?,
            ls1: scale("ls1")?,
            norm2: LayerNorm::load(&params.pp("norm2"), width, style.norm_eps)?,
            mlp: Mlp::load(&params.pp("mlp"), width, config.mlp_dim, style.act.into())?,
            ls2: scale("ls2")?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let residual = Residual { shortcut: x, scale: self.ls1.as_ref() };
        let x = self.attn.forward(&self.norm1, x, Some(residual))?;
        let residual = Residual { shortcut: &x, scale: self.ls2.as_ref() };
        self.mlp.forward_normed(&self.norm2, &x, Some(residual))
    }
}
