//! What goes into a connector and what comes out.

use candle_core::{IndexOp, Tensor};

use crate::features::Grid;
use crate::{Error, Result};

/// One tensor per encoder, in ensemble order.
#[derive(Debug, Clone)]
pub struct ConnectorInputs {
    /// Tokens `[B, N_k, C_k]` of encoder `k`, row-major on its own square grid.
    pub features: Vec<Tensor>,
    /// Width and height of each original image, before padding to a square. The connector derives from it which
    /// cells are padding.
    pub image_sizes: Vec<(u32, u32)>,
}

/// The fused image tokens.
#[derive(Debug, Clone)]
pub struct Fused {
    /// `[B, grid.cells(), H]`, row-major, padding still in place.
    pub tokens: Tensor,
    /// Grid of `tokens`.
    pub grid: Grid,
    /// Share of attention that encoder `k` received, `[B, queries]` f32, summing to 1 over encoders; empty for
    /// connectors that do not attend.
    pub attention: Vec<Tensor>,
    /// What [`crate::Connector::refine`] needs again: tensors only, so that it can cross the plugin boundary.
    pub memory: Vec<Tensor>,
    /// As in [`ConnectorInputs`].
    pub image_sizes: Vec<(u32, u32)>,
}

/// The tokens of one image as they stand in the language model's sequence.
#[derive(Debug, Clone)]
pub struct ImageBlock {
    /// `[grid.h · (grid.w + newline), H]`.
    pub tokens: Tensor,
    /// Cells that are left after padding was cut away.
    pub grid: Grid,
    /// Whether each row ends with one extra newline token.
    pub newline: bool,
}

impl ImageBlock {
    /// The whole grid as it is: no unpadding, no newline.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when there is no such row.
    pub fn plain(fused: &Fused, row: usize) -> Result<Self> {
        let batch = fused.tokens.dim(0)?;
        if row >= batch {
            return Err(Error::invalid(format!("image {row} of a batch of {batch}")));
        }
        Ok(Self { tokens: fused.tokens.i(row)?, grid: fused.grid, newline: false })
    }
}

/// Hidden states of the cells of one image inside the language model, newline positions left out.
#[derive(Debug, Clone)]
pub struct Cells {
    /// `[grid.cells(), H]`.
    pub hidden: Tensor,
    /// As in the image's [`ImageBlock`].
    pub grid: Grid,
    /// Which image of the [`Fused`] batch.
    pub row: usize,
}
