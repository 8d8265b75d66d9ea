//! One decoder layer, and what all layers of a call share.

use std::cell::OnceCell;
use std::ops::Range;

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
use crate::linear::Residual;
use crate::norm::RmsNorm;

/// Most queries of a turn: few enough to leave out most of the keys that lie after them.
const QUERIES: usize = 256;

/// What follows from the positions of a call, the same for every layer.
pub(super) struct Step<'a> {
    pub turns: Turns,
    pub runs: Vec<Run>,
    /// Positions that are in use after this call.
    pub end: usize,
    /// Most positions that a cache may hold.
    pub limit: usize,
    positions: &'a Positions,
    window: Option<usize>,
    /// The keys that each query sees, without and with the sliding window.
    sight: [OnceCell<Vec<Range<usize>>>; 2],
    /// The same in turns for products by candle, of so many queries at most.
    queries: [OnceCell<Vec<Turn>>; 2],
    most: usize,
}

impl<'a> Step<'a> {
    pub fn new(
        positions: &'a Positions,
        config: &DecoderConfig,
        rope: &Rope,
        long: bool,
        device: &Device,
    ) -> Result<Self> {
        let row =
            positions.batch() * config.num_attention_heads * positions.end() * DType::F32.size_in_bytes();
        Ok(Self {
            turns: rope.turns(positions, long, device)?,
            runs: positions.runs(),
            end: positions.end(),
            limit: config.max_position_embeddings,
            positions,
            window: config.sliding_window,
            sight: Default::default(),
            queries: Default::default(),
            most: (SCORE_BYTES / row.max(1)).clamp(1, QUERIES),
        })
    }

    fn window(&self, windowed: bool) -> Option<usize> {
        self.window.filter(|_| windowed)
    }

    /// The keys that each query sees: `[T]`, or `[B, T]` where rows differ.
    pub fn sight(&self, windowed: bool) -> &[Range<usize>] {
        self.sight[usize::from(windowed)].get_or_init(|| self.positions.sight(self.window(windowed)))
    }

    /// The queries in turns, on `device`.
    pub fn queries(&self, windowed: bool, device: &Device) -> Result<&[Turn]> {
        let cell = &self.queries[usize::from(windowed)];
        if cell.get().is_none() {
            let turns = self.positions.turns(self.most, self.window(windowed), device)?;
            return Ok(cell.get_or_init(|| turns));
        }
        Ok(cell.get().map(Vec::as_slice).unwrap_or_default())
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
