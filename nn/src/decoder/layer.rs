//! One decoder layer, and what all layers of a call share.

use candle_core::{DType, Device, Tensor};
use zoo_core::Result;
use zoo_core::weights::Params;

use super::attention::CausalAttention;
use super::cache::LayerCache;
use super::config::DecoderConfig;
use super::mlp::GatedMlp;
use super::positions::{Positions, Run, Turn};
use super::rope::{Rope, Turns};
use crate::attention::SCORE_BYTES;
use crate::norm::RmsNorm;

/// Most queries of a turn: few enough to leave out most of the keys that lie after them.
const QUERIES: usize = 256;

/// What follows from the positions of a call, the same for every layer.
pub(super) struct Step {
    pub turns: Turns,
    pub runs: Vec<Run>,
    /// Positions that are in use after this call.
    pub end: usize,
    pub queries: Vec<Turn>,
    /// Most positions that a cache may hold.
    pub limit: usize,
}

impl Step {
    pub fn new(
        positions: &Positions,
        batch: usize,
        config: &DecoderConfig,
        rope: &Rope,
        device: &Device,
    ) -> Result<Self> {
        let row = batch * config.num_attention_heads * positions.end() * DType::F32.size_in_bytes();
        let most = (SCORE_BYTES / row.max(1)).clamp(1, QUERIES);
        Ok(Self {
            turns: rope.turns(positions, device)?,
            runs: positions.runs(),
            end: positions.end(),
            queries: positions.turns(most, config.sliding_window, device)?,
            limit: config.max_position_embeddings,
        })
    }
}

/// `x + attention(norm x)`, then `x + mlp(norm x)`.
pub(super) struct Layer {
    input_norm: RmsNorm,
    attention: CausalAttention,
    post_attention_norm: RmsNorm,
    mlp: GatedMlp,
}

impl Layer {
    pub fn load(params: &Params, config: &DecoderConfig) -> Result<Self> {
        let norm = |name| RmsNorm::load(&params.pp(name), config.hidden_size, config.rms_norm_eps);
        Ok(Self {
            input_norm: norm("input_layernorm")?,
            attention: CausalAttention::load(&params.pp("self_attn"), config)?,
            post_attention_norm: norm("post_attention_layernorm")?,
            mlp: GatedMlp::load(&params.pp("mlp"), config)?,
        })
    }

    /// `[B, T, H]` to the same shape; appends to the cache.
    pub fn forward(&self, x: &Tensor, step: &Step, cache: &mut LayerCache) -> Result<Tensor> {
        let x = (x + self.attention.forward(&self.input_norm.forward(x)?, step, cache)?)?;
        Ok((&x + self.mlp.forward(&self.post_attention_norm.forward(&x)?)?)?)
    }
}
