//! What goes into a connector and what comes out.

use candle_core::{IndexOp, Tensor};

use crate::descriptor::ConnectorDescriptor;
use crate::features::Grid;
use crate::geometry::unpad;
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

impl ConnectorInputs {
    /// Whether these features are what `descriptor` expects: one tensor per encoder with its channels and tokens,
    /// one image size per batch row.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the encoder and what it should have given.
    pub fn check(&self, descriptor: &ConnectorDescriptor) -> Result<()> {
        let id = &descriptor.id;
        let fault = |message: String| Err(Error::invalid(format!("{id}: {message}")));
        let (given, expected) = (self.features.len(), descriptor.inputs.len());
        if given != expected || given == 0 {
            return fault(format!("features of {given} encoders; this connector fuses {expected}"));
        }
        if let Some((w, h)) = self.image_sizes.iter().find(|(w, h)| *w == 0 || *h == 0) {
            return fault(format!("an image of {w}×{h} pixels"));
        }
        let batch = self.image_sizes.len();
        for (k, (features, input)) in self.features.iter().zip(&descriptor.inputs).enumerate() {
            let fits = match *features.dims() {
                [b, n, c] => b == batch && c == input.channels && n == input.tokens.unwrap_or(n),
                _ => false,
            };
            if !fits {
                let tokens = input.tokens.map_or_else(|| "N".to_owned(), |n| n.to_string());
                return fault(format!(
                    "features of encoder {k} are {:?}; expected [{batch}, {tokens}, {}] for {batch} image sizes",
                    features.dims(),
                    input.channels
                ));
            }
        }
        Ok(())
    }
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

/// Where one layer of a connector looked, before the language model.
#[derive(Debug, Clone)]
pub struct LayerAttention {
    /// Which group of queries, from 0.
    pub group: usize,
    /// Which layer of the group, from 0.
    pub layer: usize,
    /// Grid of the group's queries, padding included.
    pub grid: Grid,
    /// Share of attention that encoder `k` received, f32 `[B, grid.cells()]`; they sum to 1 over encoders.
    pub shares: Vec<Tensor>,
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

    /// Only the cells that show the image ([`unpad`] on the fused grid): what comes from pad-to-square goes.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when there is no such row or its image size is not known.
    pub fn unpadded(fused: &Fused, row: usize) -> Result<Self> {
        let Self { tokens, grid, newline } = Self::plain(fused, row)?;
        let known = fused.image_sizes.len();
        let size = *fused.image_sizes.get(row).ok_or_else(|| {
            Error::invalid(format!("image {row} has no size: {known} sizes for the whole batch"))
        })?;
        let kept = unpad(grid, size);
        let tokens = tokens
            .reshape((grid.h, grid.w, ()))?
            .narrow(0, kept.rows.start, kept.rows.len())?
            .narrow(1, kept.cols.start, kept.cols.len())?
            .flatten_to(1)?;
        Ok(Self { tokens, grid: kept.grid(), newline })
    }

    /// The block with `newline` `[H]` after every row of cells.
    ///
    /// # Errors
    /// The vector does not fit the tokens.
    pub fn with_newline(self, newline: &Tensor) -> Result<Self> {
        let Grid { h, w } = self.grid;
        let cells = self.tokens.reshape((h, w, ()))?;
        let column =
            newline.to_dtype(cells.dtype())?.reshape((1, 1, ()))?.broadcast_as((h, 1, cells.dim(2)?))?;
        let tokens = Tensor::cat(&[&cells, &column], 1)?.flatten_to(1)?;
        Ok(Self { tokens, newline: true, ..self })
    }

    /// Length in the sequence of a block of `grid` cells, with or without newlines.
    pub fn length(grid: Grid, newline: bool) -> usize {
        grid.h * (grid.w + usize::from(newline))
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
