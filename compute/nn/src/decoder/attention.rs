//! Causal self-attention with grouped queries, over a KV cache.

mod tracked;
mod turns;

use std::sync::Arc;

use candle_core::{Device, Tensor, WithDType};
use zoo_core::weights::Params;
use zoo_core::{Error, Result};
use zoo_kernels::{Attention, AttentionSize, Element, Heads, written};

use super::cache::LayerCache;
use super::config::DecoderConfig;
use super::gguf;
use super::projections::Projections;
use super::step::Step;
use crate::dispatch::{Path, with};
use crate::linear::{Epilogue, Linear, Residual};
use crate::quantised::{self, RowOrder};
use crate::values::Values;

/// Most queries of a row that are decoded and not read as a prompt.
const FEW: usize = 4;

/// Attention of each query head to the key head of its group, softmax in f32.
#[derive(Clone)]
pub(super) struct CausalAttention {
    qkv: Projections,
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

    /// `[B, T, H]` to the same shape, added to `residual` if there is one; appends to the cache.
    pub fn forward(
        &self,
        x: &Tensor,
        residual: Option<Residual<'_>>,
        step: &Arc<Step>,
        cache: &mut LayerCache,
    ) -> Result<Tensor> {
        if let Some(out) = self.run_tracked(x, residual, step)? {
            return Ok(out);
        }
        let (batch, length, _) = x.dims3()?;
        let [q, k, v] = self.qkv.forward(x)?;
        let split = |t: Tensor, heads| t.reshape((batch, length, heads, self.channels));
        let q = step.turns.apply(&split(q, self.heads)?)?;
        let k = step.turns.apply(&split(k, self.groups)?)?.transpose(1, 2)?.contiguous()?;
        let v = split(v, self.groups)?.transpose(1, 2)?.contiguous()?;
        cache.write(&k, &v, &step.runs, step.limit)?;
        let (keys, values) = cache.stored()?;
        let mixed = match Path::of([&q, &k, &v, keys, values]) {
            Path::Kernel(numbers) if self.cap.is_none() => {
                with!(numbers, T => self.fused::<T>(&q, step, cache)?)
            }
            Path::Tracked(_) if step.whole() => self.mix().tracked(&q, &k, &v, step)?,
            _ => {
                let (keys, values) = cache.read(step.end)?;
                self.mix().apply(&q, &keys, &values, step)?
            }
        };
        let mixed = mixed.reshape((batch, length, ()))?;
        self.output.forward_with(&mixed, Epilogue { activation: None, residual })
    }

    /// `q` `[B, T, heads, D]` to the same shape, the cache being read where it lies.
    fn fused<T: Element + WithDType>(&self, q: &Tensor, step: &Step, cache: &LayerCache) -> Result<Tensor> {
        let (batch, queries, heads, channels) = q.dims4()?;
        let (keys, values) = cache.stored()?;
        let room = keys.dim(2)?;
        let (q, k, v) =
            (Values::of(q, q.dims())?, Values::of(keys, keys.dims())?, Values::of(values, values.dims())?);
        let (qs, k, v) = (q.read()?, k.read()?, v.read()?);
        let stored = |values| Heads {
            values,
            batch: self.groups * room * channels,
            token: channels,
            head: room * channels,
        };
        let attention = Attention {
            size: AttentionSize { batch, queries, keys: step.end, heads, key_heads: self.groups, channels },
            q: Heads {
                values: qs.values::<T>()?,
                batch: queries * heads * channels,
                token: heads * channels,
                head: channels,
            },
            k: stored(k.values()?),
            v: stored(v.values()?),
            scale: self.scale as f32,
            bias: None,
            sight: Some(step.sight(self.windowed)),
        };
        let mixed = written(batch * queries * heads * channels, |out| {
            Ok::<_, Error>(if queries <= FEW { attention.apply_few(out) } else { attention.apply(out) })
        })?;
        Ok(Tensor::from_vec(mixed, q.shape(), &Device::Cpu)?)
    }
}

/// `cap · tanh(x / cap)`.
pub(super) fn capped(x: Tensor, cap: Option<f64>) -> Result<Tensor> {
    match cap {
        Some(cap) => Ok(((x / cap)?.tanh()? * cap)?),
        None => Ok(x),
    }
}
