//! One decoder layer.

use std::sync::Arc;

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::Params;

use super::attention::CausalAttention;
use super::cache::LayerCache;
use super::config::DecoderConfig;
use super::gguf;
use super::mlp::GatedMlp;
use super::step::Step;
use crate::linear::Residual;
use crate::norm::RmsNorm;

/// `x + attention(norm x)`, then `x + mlp(norm x)`; or each branch normed once more before it is added.
pub(super) struct Layer {
    attention_norm: RmsNorm,
    attention: CausalAttention,
    attention_post_norm: Option<RmsNorm>,
    mlp_norm: RmsNorm,
    mlp: GatedMlp,
    mlp_post_norm: Option<RmsNorm>,
}

impl Layer {
    pub fn load(params: &Params, config: &DecoderConfig, layer: usize) -> Result<Self> {
        let norm = |name| config.norm(&params.pp(name));
        // What one style calls the norm before the network is, in the other, the norm behind the attention.
        let (mlp_norm, attention_post_norm, mlp_post_norm) = if config.style.post_norms {
            let behind = [norm("post_attention_layernorm")?, norm("post_feedforward_layernorm")?];
            let [attention, mlp] = behind.map(Some);
            (norm("pre_feedforward_layernorm")?, attention, mlp)
        } else {
            (norm("post_attention_layernorm")?, None, None)
        };
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            attention: CausalAttention::load(&params.pp("self_attn"), config, layer)?,
            attention_post_norm,
            mlp_norm,
            mlp: GatedMlp::load(&params.pp("mlp"), config)?,
            mlp_post_norm,
        })
    }

    /// `[B, T, H]` to the same shape; appends to the cache.
    pub fn forward(&self, x: &Tensor, step: &Arc<Step>, cache: &mut LayerCache) -> Result<Tensor> {
        let normed = self.attention_norm.forward(x)?;
        let x = &match &self.attention_post_norm {
            Some(norm) => (x + norm.forward(&self.attention.forward(&normed, None, step, cache)?)?)?,
            None => {
                self.attention.forward(&normed, Some(Residual { shortcut: x, scale: None }), step, cache)?
            }
        };
        let normed = self.mlp_norm.forward(x)?;
        match &self.mlp_post_norm {
            Some(norm) => Ok((x + norm.forward(&self.mlp.forward(&normed, None)?)?)?),
            None => self.mlp.forward(&normed, Some(Residual { shortcut: x, scale: None })),
        }
    }
}

impl DecoderConfig {
    /// The norm of hidden states at `params`.
    pub(super) fn norm(&self, params: &Params) -> Result<RmsNorm> {
        let offset = self.style.unit_offset && params.layout() != gguf::NAME;
        let load = if offset { RmsNorm::load_unit_offset } else { RmsNorm::load };
        load(params, self.hidden_size, self.rms_norm_eps)
    }
}
