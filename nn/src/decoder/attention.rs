//! Causal self-attention with grouped queries, over a KV cache.

use candle_core::{DType, Device, Tensor};
use zoo_core::Result;
use zoo_core::weights::Params;

use super::cache::LayerCache;
use super::config::DecoderConfig;
use super::gguf;
use super::layer::Step;
use super::projections::Projections;
use crate::attention::softmax;
use crate::linear::Linear;
use crate::quantised::{self, RowOrder};

/// Attention of each query head to the key head of its group, softmax in f32.
pub(super) struct CausalAttention {
    qkv: Projections<3>,
    output: Linear,
    heads: usize,
    groups: usize,
    channels: usize,
    scale: f64,
    cap: Option<f64>,
    windowed: bool,
}

impl CausalAttention {
    pub fn load(params: &Params, config: &DecoderConfig, layer: usize) -> Result<Self> {
        let (width, style) = (config.hidden_size, config.style);
        let (queries, keys) = (config.query_channels(), config.key_channels());
        let order = gguf::row_order(params, config);
        Ok(Self {
            qkv: Projections::load(
                params,
                style.packed.then_some("qkv_proj"),
                [("q_proj", queries, order), ("k_proj", keys, order), ("v_proj", keys, RowOrder::Same)],
                width,
                style.qkv_bias,
            )?,
            output: quantised::load(&params.pp("o_proj"), queries, width, style.output_bias, RowOrder::Same)?,
            heads: config.num_attention_heads,
            groups: config.num_key_value_heads,
            channels: config.head_dim,
            scale: config.attention_scale,
            cap: config.attention_cap,
            windowed: config.window(layer).is_some(),
        })
    }

    /// `[B, T, H]` to the same shape; appends to the cache.
    pub fn forward(&self, x: &Tensor, step: &Step, cache: &mut LayerCache) -> Result<Tensor> {
        let (batch, length, _) = x.dims3()?;
        let (heads, groups, channels) = (self.heads, self.groups, self.channels);
        let dtype = x.dtype();
        let [q, k, v] = self.qkv.forward(x)?;
        let split = |t: Tensor, heads| -> Result<Tensor> {
            Ok(t.reshape((batch, length, heads, channels))?.transpose(1, 2)?.contiguous()?)
        };
        let q = step.turns.apply(&split(q, heads)?)?;
        let k = step.turns.apply(&split(k, groups)?)?.to_dtype(dtype)?;
        cache.write(&k, &split(v, groups)?, &step.runs, step.limit)?;
        let (k, v) = cache.read(step.end)?;

        // The CPU has no fast products of half-precision numbers.
        let working = if matches!(x.device(), Device::Cpu) { DType::F32 } else { dtype };
        let q = (q * self.scale)?.to_dtype(working)?;
        let (k, v) = (k.to_dtype(working)?.t()?, v.to_dtype(working)?);
        let queries = &step.queries[usize::from(self.windowed)];
        let mut parts = Vec::with_capacity(queries.len());
        for turn in queries {
            // The queries of a group are rows of one product with its keys: nothing is repeated.
            let rows = heads / groups * turn.length;
            let (first, seen) = (turn.keys.start, turn.keys.len());
            let (keys, values) = (k.narrow(3, first, seen)?, v.narrow(2, first, seen)?);
            let part = q.narrow(2, turn.start, turn.length)?.contiguous()?;
            let scores = part.reshape((batch, groups, rows, channels))?.matmul(&keys)?;
            let scores = scores.to_dtype(DType::F32)?.reshape((batch, heads, turn.length, ()))?;
            let scores = capped(scores, self.cap)?;
            let scores = match &turn.mask {
                Some(mask) => scores.broadcast_add(mask)?,
                None => scores,
            };
            let weights = softmax(&scores)?.to_dtype(working)?.reshape((batch, groups, rows, ()))?;
            parts.push(weights.matmul(&values)?.reshape((batch, heads, turn.length, channels))?);
        }
        let mixed = if let [whole] = parts.as_slice() { whole.clone() } else { Tensor::cat(&parts, 2)? };
        let mixed = mixed.transpose(1, 2)?.reshape((batch, length, heads * channels))?.to_dtype(dtype)?;
        self.output.forward(&mixed)
    }
}

/// `cap · tanh(x / cap)`.
pub(super) fn capped(x: Tensor, cap: Option<f64>) -> Result<Tensor> {
    match cap {
        Some(cap) => Ok(((x / cap)?.tanh()? * cap)?),
        None => Ok(x),
    }
}
