//! Decomposed relative positions (arXiv 2112.01526 section 4.1, as in ViTDet, 2203.16527): what a query adds to the
//! score of a key is its product with a vector for the distance of their rows and with one for that of their columns.

use std::sync::{Arc, PoisonError, RwLock};

use candle_core::{D, DType, Device, Tensor, WithDType};
use rayon::prelude::*;
use zoo_core::weights::{Init, Params};
use zoo_core::{Grid, Result};
use zoo_kernels::{Element, Epilogue, Packed, written, zeros};

use crate::dispatch::{self, Path, with};
use crate::pos_embed::PosMode;
use crate::values::Values;

/// The vectors of all distances, for
/// [`SelfAttention::forward_relative`](crate::attention::SelfAttention::forward_relative): the families of ViTDet.
/// Tensors: `rel_pos_h` `[2 h - 1, D]` and `rel_pos_w` `[2 w - 1, D]`, from the most
/// negative distance (query minus key) on, `D` being the channels of a head, all of which share them.
#[derive(Debug, Clone)]
pub struct RelativePositions {
    rows: Axis,
    columns: Axis,
}

/// The vectors of one axis.
#[derive(Debug, Clone)]
struct Axis {
    /// `[distances, D]`.
    table: Tensor,
    /// As the kernel reads them: at first for the grid that they were made for, then for that of the last call. Nothing
    /// where candle computes.
    packed: Arc<RwLock<Option<Spread>>>,
}

/// The vectors of all distances on an axis of `side` cells.
#[derive(Debug)]
struct Spread {
    side: usize,
    panels: Arc<Packed>,
}

/// What queries add to the scores of keys, in f32.
#[derive(Debug, Clone)]
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
        let axis = |name, side: usize| {
            let axis = Axis::new(params.get(name, ((2 * side).saturating_sub(1), channels), init)?);
            if dispatch::plain([&axis.table]) {
                axis.packed(side)?;
            }
            Ok::<_, zoo_core::Error>(axis)
        };
        Ok(Self { rows: axis("rel_pos_h", grid.h)?, columns: axis("rel_pos_w", grid.w)? })
    }

    /// For the queries of `qkv` `[B, h · w, 3 C]`, not scaled, on keys on the same grid. On another grid than that of
    /// the vectors, these are resampled linearly, as the references do it.
    pub(crate) fn bias(&self, qkv: &Tensor, heads: usize, grid: Grid) -> Result<RelativeBias> {
        match Path::of([qkv]) {
            Path::Kernel(numbers) if dispatch::plain([&self.rows.table, &self.columns.table]) => {
                with!(numbers, T => self.fused::<T>(qkv, heads, grid))
            }
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
        let axis = |axis: &Axis, side: usize, place: fn(usize, usize) -> usize| -> Result<Tensor> {
            let distances = 2 * side - 1;
            let panels = axis.packed(side)?;
            let all = written(batch * heads * tokens * distances, |out| {
                Ok::<_, zoo_core::Error>(panels.apply(&q, &Epilogue::default(), out))
            })?;
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
        let rows = rows.matmul(&self.rows.between(h)?.t()?)?.reshape((h, batch, w, heads, h))?;
        let columns = q.permute((2, 0, 1, 3, 4))?.reshape((w, batch * h * heads, channels))?;
        let columns = columns.matmul(&self.columns.between(w)?.t()?)?.reshape((w, batch, h, heads, w))?;
        Ok(RelativeBias {
            rows: rows.permute((1, 3, 0, 2, 4))?.reshape((batch, heads, tokens, h))?,
            columns: columns.permute((1, 3, 2, 0, 4))?.reshape((batch, heads, tokens, w))?,
            grid: (h, w),
        })
    }
}

impl RelativeBias {
    pub(crate) fn tables(&self) -> [&Tensor; 2] {
        [&self.rows, &self.columns]
    }

    /// As a matrix, for `length` queries from `start` on: `[B, heads, length, h · w]`.
    pub(crate) fn dense(&self, start: usize, length: usize) -> Result<Tensor> {
        let rows = self.rows.narrow(2, start, length)?.unsqueeze(D::Minus1)?;
        let columns = self.columns.narrow(2, start, length)?.unsqueeze(3)?;
        Ok(rows.broadcast_add(&columns)?.flatten_from(3)?)
    }
}

impl Axis {
    fn new(table: Tensor) -> Self {
        Self { table, packed: Arc::default() }
    }

    /// The vectors of all distances on an axis of `side` cells in panels, from the last key's to the first's, so that
    /// those to the keys of a query follow one another.
    fn packed(&self, side: usize) -> Result<Arc<Packed>> {
        let last = self.packed.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| last.side == side) {
            return Ok(last.panels.clone());
        }
        drop(last);
        // Without the lock: a thread that waits for its part of the packing may begin another call.
        let vectors = self.spread(side)?;
        let (distances, channels) = vectors.dims2()?;
        let vectors: Vec<f32> = vectors.to_vec2()?.into_iter().rev().flatten().collect();
        let panels = Arc::new(Packed::new(&vectors, distances, channels));
        let spread = Spread { side, panels: panels.clone() };
        *self.packed.write().unwrap_or_else(PoisonError::into_inner) = Some(spread);
        Ok(panels)
    }

    /// The vectors of all distances on an axis of `side` cells, `[2 side - 1, D]`, in f32.
    fn spread(&self, side: usize) -> Result<Tensor> {
        let (distances, table) = ((2 * side).saturating_sub(1), self.table.to_dtype(DType::F32)?);
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
    fn between(&self, side: usize) -> Result<Tensor> {
        let places = (0..side).flat_map(|query| (0..side).map(move |key| (query + side - 1 - key) as u32));
        let places = Tensor::from_vec(places.collect::<Vec<_>>(), side * side, self.table.device())?;
        Ok(self.spread(side)?.index_select(&places, 0)?.reshape((side, side, ()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_packed_once_for_a_grid() {
        let table = Tensor::arange(0f32, 35.0, &Device::Cpu).unwrap().reshape((7, 5)).unwrap();
        let axis = Axis::new(table);
        let own = axis.packed(4).unwrap();
        assert!(Arc::ptr_eq(&own, &axis.clone().packed(4).unwrap()));
        assert_eq!((own.outputs(), own.inputs()), (7, 5));
        assert_eq!(own.unpack::<f32>()[..5], [30.0, 31.0, 32.0, 33.0, 34.0]);
        let other = axis.packed(6).unwrap();
        assert_eq!(other.outputs(), 11);
        assert!(Arc::ptr_eq(&other, &axis.packed(6).unwrap()));
        assert_eq!(axis.packed(4).unwrap().unpack::<f32>(), own.unpack::<f32>());
    }
}
