//! Decomposed relative positions (arXiv 2112.01526 section 4.1, as in ViTDet, 2203.16527): what a query adds to the
//! score of a key is its product with a vector for the distance of their rows and with one for that of their columns.

use candle_core::{D, DType, Device, Tensor, WithDType};
use half::bf16;
use rayon::prelude::*;
use zoo_core::weights::{Init, Params};
use zoo_core::{Grid, Result};
use zoo_kernels::{Element, Epilogue, Packed, zeros};

use crate::pos_embed::PosMode;
use crate::values::Values;

/// The vectors of all distances, for [`SelfAttention::forward_relative`](crate::attention::SelfAttention::forward_relative):
/// the families of ViTDet, of which none is a plugin yet. Tensors: `rel_pos_h` `[2 h - 1, D]` and `rel_pos_w` `[2 w - 1, D]`, from the most
/// negative distance (query minus key) on, `D` being the channels of a head, all of which share them.
#[derive(Debug, Clone)]
pub struct RelativePositions {
    rows: Tensor,
    columns: Tensor,
}

/// What queries add to the scores of keys, in f32.
pub(crate) struct RelativeBias {
    /// `[B, heads, N, h]`.
    pub rows: Tensor,
    /// `[B, heads, N, w]`.
    pub columns: Tensor,
    /// Rows and columns of the keys.
    pub grid: (usize, usize),
}

impl RelativePositions {
    /// Reads the vectors for a grid of this size at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, grid: Grid, channels: usize) -> Result<Self> {
        let init = Init::Normal { mean: 0.0, std: 0.02 };
        let table = |name, side: usize| params.get(name, ((2 * side).saturating_sub(1), channels), init);
        Ok(Self { rows: table("rel_pos_h", grid.h)?, columns: table("rel_pos_w", grid.w)? })
    }

    /// For the queries of `qkv` `[B, h · w, 3 C]`, not scaled, on keys on the same grid. On another grid than that of
    /// the vectors, these are resampled linearly, as the references do it.
    pub(crate) fn bias(&self, qkv: &Tensor, heads: usize, grid: Grid) -> Result<RelativeBias> {
        let tracked = [qkv, &self.rows, &self.columns].iter().any(|t| t.track_op());
        match qkv.dtype() {
            _ if tracked || !qkv.device().is_cpu() => self.plain(qkv, heads, grid),
            DType::F32 => self.fused::<f32>(qkv, heads, grid),
            DType::BF16 => self.fused::<bf16>(qkv, heads, grid),
            _ => self.plain(qkv, heads, grid),
        }
    }

    /// One product with the vectors of all distances, of which each query takes those to its keys.
    fn fused<T: Element + WithDType>(&self, qkv: &Tensor, heads: usize, grid: Grid) -> Result<RelativeBias> {
        let (batch, tokens, width) = qkv.dims3()?;
        let channels = width / 3 / heads;
        let qkv = Values::of(qkv, qkv.dims())?;
        let qkv = qkv.read()?;
        let qkv = qkv.values::<T>()?;
        let mut q = zeros::<f32>(batch * heads * tokens * channels);
        q.par_chunks_mut((tokens * channels).max(1)).enumerate().for_each(|(i, q)| {
            let (image, head) = (i / heads, i % heads);
            for (token, q) in q.chunks_exact_mut(channels).enumerate() {
                let from = &qkv[(image * tokens + token) * width + head * channels..][..channels];
                q.iter_mut().zip(from).for_each(|(to, x)| *to = x.widen());
            }
        });
        let axis = |table: &Tensor, side: usize, place: fn(usize, usize) -> usize| -> Result<Tensor> {
            let distances = 2 * side - 1;
            // From the last key's to the first's, so that those to the keys of a query follow one another.
            let vectors =
                spread(table, side)?.to_vec2::<f32>()?.into_iter().rev().flatten().collect::<Vec<_>>();
            let mut all = zeros::<f32>(batch * heads * tokens * distances);
            Packed::new(&vectors, distances, channels).apply(&q, &Epilogue::default(), &mut all);
            let mut own = zeros::<f32>(batch * heads * tokens * side);
            let heads_of = own.par_chunks_mut(tokens * side).zip(all.par_chunks(tokens * distances));
            heads_of.for_each(|(own, all)| {
                let queries = own.chunks_exact_mut(side).zip(all.chunks_exact(distances));
                for (token, (own, all)) in queries.enumerate() {
                    own.copy_from_slice(&all[side - 1 - place(token, grid.w)..][..side]);
                }
            });
            Ok(Tensor::from_vec(own, (batch, heads, tokens, side), &Device::Cpu)?)
        };
        Ok(RelativeBias {
            rows: axis(&self.rows, grid.h, |token, width| token / width)?,
            columns: axis(&self.columns, grid.w, |token, width| token % width)?,
            grid: (grid.h, grid.w),
        })
    }

    /// As `fused`, by candle: for other devices and dtypes, and differentiable.
    fn plain(&self, qkv: &Tensor, heads: usize, Grid { h, w }: Grid) -> Result<RelativeBias> {
        let (batch, tokens, width) = qkv.dims3()?;
        let channels = width / 3 / heads;
        let q = qkv.narrow(2, 0, width / 3)?.reshape((batch, h, w, heads, channels))?.to_dtype(DType::F32)?;
        // The queries of a row share the vectors of all rows of keys, and those of a column those of all columns.
        let rows = q.transpose(0, 1)?.reshape((h, batch * w * heads, channels))?;
        let rows = rows.matmul(&between(&self.rows, h)?.t()?)?.reshape((h, batch, w, heads, h))?;
        let columns = q.permute((2, 0, 1, 3, 4))?.reshape((w, batch * h * heads, channels))?;
        let columns = columns.matmul(&between(&self.columns, w)?.t()?)?.reshape((w, batch, h, heads, w))?;
        Ok(RelativeBias {
            rows: rows.permute((1, 3, 0, 2, 4))?.reshape((batch, heads, tokens, h))?,
            columns: columns.permute((1, 3, 2, 0, 4))?.reshape((batch, heads, tokens, w))?,
            grid: (h, w),
        })
    }
}

impl RelativeBias {
    pub(crate) fn track_op(&self) -> bool {
        self.rows.track_op() || self.columns.track_op()
    }

    /// For the kernel: the rows and the columns.
    pub(crate) fn values(&self) -> candle_core::Result<[Values; 2]> {
        Ok([Values::of(&self.rows, self.rows.dims())?, Values::of(&self.columns, self.columns.dims())?])
    }

    /// As a matrix, for `length` queries from `start` on: `[B, heads, length, h · w]`.
    pub(crate) fn dense(&self, start: usize, length: usize) -> Result<Tensor> {
        let rows = self.rows.narrow(2, start, length)?.unsqueeze(D::Minus1)?;
        let columns = self.columns.narrow(2, start, length)?.unsqueeze(3)?;
        Ok(rows.broadcast_add(&columns)?.flatten_from(3)?)
    }
}

/// The vectors of all distances on an axis of `side` cells, `[2 side - 1, D]`, in f32.
fn spread(table: &Tensor, side: usize) -> Result<Tensor> {
    let (distances, table) = (2 * side - 1, table.to_dtype(DType::F32)?);
    let from = table.dim(0)?;
    if from == distances {
        return Ok(table);
    }
    let weights: Vec<f32> =
        PosMode::Bilinear.matrix(from, distances).into_iter().map(|weight| weight as f32).collect();
    let weights = Tensor::from_vec(weights, (distances, from), &Device::Cpu)?;
    Ok(weights.to_device(table.device())?.matmul(&table)?)
}

/// The vectors between each query and each key of an axis, `[side, side, D]`, in f32.
fn between(table: &Tensor, side: usize) -> Result<Tensor> {
    let places = (0..side).flat_map(|query| (0..side).map(move |key| (query + side - 1 - key) as u32));
    let places = Tensor::from_vec(places.collect::<Vec<_>>(), side * side, table.device())?;
    Ok(spread(table, side)?.index_select(&places, 0)?.reshape((side, side, ()))?)
}
