//! Cross-attention from each query to the keys of its own windows.

use candle_core::{DType, Tensor};
use zoo_core::weights::Params;
use zoo_core::{Grid, Result};
use zoo_nn::attention::softmax;
use zoo_nn::linear::Linear;
use zoo_nn::local_attention::{self, LocalAttention};

use crate::arch::HEADS;
use crate::parts::NormLinear;
use crate::window::Windows;

/// Key and value projections of one encoder. Each has a LayerNorm of its own.
struct KeyValue {
    key: NormLinear,
    value: NormLinear,
}

/// [`HEADS`] heads over the keys of one or more encoders, in one softmax.
pub struct CrossAttention {
    query: NormLinear,
    sources: Vec<KeyValue>,
    out: Linear,
    width: usize,
}

impl CrossAttention {
    /// Over one encoder: `k_proj`, `v_proj`.
    pub fn load_single(p: &Params, width: usize) -> Result<Self> {
        Self::load(p, width, &[String::new()])
    }

    /// Over `encoders` encoders: `k_proj_{k}`, `v_proj_{k}`.
    pub fn load_multi(p: &Params, width: usize, encoders: usize) -> Result<Self> {
        let suffixes: Vec<String> = (0..encoders).map(|k| format!("_{k}")).collect();
        Self::load(p, width, &suffixes)
    }

    fn load(p: &Params, width: usize, suffixes: &[String]) -> Result<Self> {
        let source = |suffix: &String| {
            Ok(KeyValue {
                key: NormLinear::load(&p.pp(format_args!("k_proj{suffix}")), width)?,
                value: NormLinear::load(&p.pp(format_args!("v_proj{suffix}")), width)?,
            })
        };
        Ok(Self {
            query: NormLinear::load(&p.pp("q_proj"), width)?,
            sources: suffixes.iter().map(source).collect::<Result<_>>()?,
            out: Linear::load(&p.pp("o_proj"), width, width, false)?,
            width,
        })
    }

    /// Queries `[B, n, C]` look at `cells[k]` `[B, cells, C]` through `windows[k]`, one per encoder; `bias`
    /// `[B · n, 1, 1, all keys]` is added before the softmax. Returns the outcome `[B, n, C]` and the weights,
    /// f32 `[B · n, heads, 1, all keys]`.
    pub fn forward(
        &self,
        queries: &Tensor,
        cells: &[(&Tensor, Windows)],
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let (batch, n, _) = queries.dims3()?;
        let (rows, head) = (batch * n, self.width / HEADS);
        let scale = 1.0 / (head as f64).sqrt();
        let q = self.query.forward(queries)?;
        // Projections are per token: they run in raster order, and windows are cut out of their results.
        let sources = self.sources.iter().zip(cells).map(|(source, (cells, windows))| {
            let (keys, values) = (source.key.forward(cells)?, source.value.forward(cells)?);
            Ok(local_attention::FineGrid { m: windows.m, keys, values })
        });
        let sources = sources.collect::<Result<Vec<_>>>()?;
        let grid = cells.first().map_or(Grid { h: 0, w: 0 }, |(_, windows)| windows.queries);
        let attention = LocalAttention { queries: &q, grid, heads: HEADS, scale, sources: &sources, bias };
        if let Some((mixed, weights)) = attention.attend()? {
            return Ok((self.out.forward(&mixed)?, weights));
        }
        let gather = |of: fn(&local_attention::FineGrid) -> &Tensor| {
            let parts = sources.iter().zip(cells);
            let parts = parts.map(|(source, (_, windows))| windows.gather(of(source), HEADS));
            Ok::<_, zoo_core::Error>(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 2)?)
        };
        let q = (q * scale)?.reshape((rows, HEADS, 1, head))?;
        // One query and few keys a row: nothing is gained by smaller numbers than f32.
        let (q, k) = (q.to_dtype(DType::F32)?, gather(|s| &s.keys)?.to_dtype(DType::F32)?);
        let mut scores = q.matmul(&k.t()?)?;
        if let Some(bias) = bias {
            scores = scores.broadcast_add(bias)?;
        }
        let weights = softmax(&scores)?;
        let v = gather(|s| &s.values)?.to_dtype(DType::F32)?;
        let mixed = weights.matmul(&v)?.reshape((batch, n, self.width))?.to_dtype(queries.dtype())?;
        Ok((self.out.forward(&mixed)?, weights))
    }
}
