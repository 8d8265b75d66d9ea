//! Decomposed relative positions (arXiv 2112.01526 section 4.1, as in ViTDet, 2203.16527): what a query adds to the
//! score of a key is its product with a vector for the distance of their rows and with one for that of their columns.

use candle_core::{D, DType, Device, Tensor};
use zoo_core::weights::{Init, Params};
use zoo_core::{Grid, Result};

use crate::pos_embed::PosMode;
use crate::values::Values;

/// The vectors of all distances. Tensors: `rel_pos_h` `[2 h - 1, D]` and `rel_pos_w` `[2 w - 1, D]`, from the most
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

    /// For queries `[B, h, w, heads, D]`, not scaled, on keys on the same grid. On another grid than that of the
    /// vectors, these are resampled linearly, as the references do it.
    pub(crate) fn bias(&self, q: &Tensor) -> Result<RelativeBias> {
        let (batch, h, w, heads, channels) = q.dims5()?;
        let q = q.to_dtype(DType::F32)?;
        // The queries of a row share the vectors of all rows of keys, and those of a column those of all columns.
        let rows = q.transpose(0, 1)?.reshape((h, batch * w * heads, channels))?;
        let rows = rows.matmul(&between(&self.rows, h)?.t()?)?.reshape((h, batch, w, heads, h))?;
        let columns = q.permute((2, 0, 1, 3, 4))?.reshape((w, batch * h * heads, channels))?;
        let columns = columns.matmul(&between(&self.columns, w)?.t()?)?.reshape((w, batch, h, heads, w))?;
        Ok(RelativeBias {
            rows: rows.permute((1, 3, 0, 2, 4))?.reshape((batch, heads, h * w, h))?,
            columns: columns.permute((1, 3, 2, 0, 4))?.reshape((batch, heads, h * w, w))?,
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

/// The vectors between each query and each key of an axis, `[side, side, D]`, in f32.
fn between(table: &Tensor, side: usize) -> Result<Tensor> {
    let (distances, table) = (2 * side - 1, table.to_dtype(DType::F32)?);
    let from = table.dim(0)?;
    let table = if from == distances {
        table
    } else {
        let weights: Vec<f32> =
            PosMode::Bilinear.matrix(from, distances).into_iter().map(|weight| weight as f32).collect();
        Tensor::from_vec(weights, (distances, from), &Device::Cpu)?
            .to_device(table.device())?
            .matmul(&table)?
    };
    let places = (0..side).flat_map(|query| (0..side).map(move |key| (query + side - 1 - key) as u32));
    let places = Tensor::from_vec(places.collect::<Vec<_>>(), side * side, table.device())?;
    Ok(table.index_select(&places, 0)?.reshape((side, side, ()))?)
}
