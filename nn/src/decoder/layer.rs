//! One decoder layer, and what all layers of a call share.

use candle_core::{DType, Device, Tensor};
use zoo_core::Result;
use zoo_core::weights::Params;

use super::attention::CausalAttention;
use super::cache::LayerCache;
use super::config::DecoderConfig;
use super::gguf;
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
    /// Which keys queries see, without and with the sliding window.
    pub queries: [Vec<Turn>; 2],
    /// Most positions that a cache may hold.
    pub limit: usize,
}

impl Step {
    pub fn new(
        positions: &Positions,
        config: &DecoderConfig,
        rope: &Rope,
        long: bool,
        device: &Device,
    ) -> Result<Self> {
        let row =
            positions.batch() * config.num_attention_heads * positions.end() * DType::F32.size_in_bytes();
        let most = (SCORE_BYTES / row.max(1)).clamp(1, QUERIES);
        let seen = |window| positions.turns(most, window, device);
        let queries = [
            if config.windowed.contains(&false) { seen(None)? } else { Vec::new() },
            if config.windowed.contains(&true) { seen(config.sliding_window)? } else { Vec::new() },
        ];
        Ok(Self {
            turns: rope.turns(positions, long, device)?,
            runs: positions.runs(),
            end: positions.end(),
            queries,
            limit: config.max_position_embeddings,
        })
    }
}

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
    pub fn forward(&self, x: &Tensor, step: &Step, cache: &mut LayerCache) -> Result<Tensor> {
        let behind = |norm: &Option<RmsNorm>, branch: Tensor| match norm {
            Some(norm) => norm.forward(&branch),
            None => Ok(branch),
        };
        let branch = self.attention.forward(&self.attention_norm.forward(x)?, step, cache)?;
        let x = (x + behind(&self.attention_post_norm, branch)?)?;
        let branch = self.mlp.forward(&self.mlp_norm.forward(&x)?)?;
        Ok((&x + behind(&self.mlp_post_norm, branch)?)?)
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
