//! From pixels to patch tokens.

use candle_core::Tensor;
use zoo_core::weights::{Init, Params};
use zoo_core::{Grid, Result};

use crate::linear::Linear;

/// A convolution whose stride is its kernel, done as one matrix product over cut-out patches. Tensor: `proj`,
/// `[C, 3, patch, patch]`.
#[derive(Debug, Clone)]
pub struct PatchEmbed {
    proj: Linear,
    patch: usize,
}

impl PatchEmbed {
    /// Reads `proj` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, patch: usize, bias: bool) -> Result<Self> {
        let params = params.pp("proj");
        let inputs = 3 * patch * patch;
        let init = Init::fan_in(inputs);
        let weight = params.get("weight", (channels, 3, patch, patch), init)?.reshape((channels, inputs))?;
        let bias = if bias { Some(params.get("bias", channels, init)?) } else { None };
        Ok(Self { proj: Linear::new(weight, bias), patch })
    }

    /// `[B, 3, H, W]` to `[B, h·w, C]` and the grid. Rows and columns beyond the last whole patch are not seen,
    /// as with an unpadded convolution.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the image is smaller than a patch or the shape does not fit.
    pub fn forward(&self, pixels: &Tensor) -> Result<(Tensor, Grid)> {
        let (batch, planes, height, width) = pixels.dims4()?;
        let p = self.patch;
        let grid = Grid { h: height / p, w: width / p };
        let patches = pixels
            .narrow(2, 0, grid.h * p)?
            .narrow(3, 0, grid.w * p)?
            .reshape((batch, planes, grid.h, p, grid.w, p))?
            .permute((0, 2, 4, 1, 3, 5))?
            .reshape((batch, grid.cells(), planes * p * p))?;
        Ok((self.proj.forward(&patches)?, grid))
    }
}
