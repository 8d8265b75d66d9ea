//! What the mask decoder reads: fewer channels, each cell with its neighbours.

use candle_core::Tensor;
use zoo_core::weights::Params;
use zoo_core::{Grid, Result};
use zoo_nn::conv::{Conv2d, Stencil};
use zoo_nn::norm::LayerNorm;

pub(crate) struct Neck {
    narrow: Conv2d,
    norm1: LayerNorm,
    mix: Conv2d,
    norm2: LayerNorm,
}

impl Neck {
    pub(crate) fn load(params: &Params, inputs: usize, channels: usize, eps: f64) -> Result<Self> {
        let params = params.pp("neck");
        Ok(Self {
            narrow: Conv2d::load(&params.pp(0), inputs, channels, Stencil::around(1), false)?,
            norm1: LayerNorm::load(&params.pp(1), channels, eps)?,
            mix: Conv2d::load(&params.pp(2), channels, channels, Stencil::around(3), false)?,
            norm2: LayerNorm::load(&params.pp(3), channels, eps)?,
        })
    }

    /// `[B, cells, inputs]` to `[B, cells, channels]`.
    pub(crate) fn forward(&self, x: &Tensor, Grid { h, w }: Grid) -> Result<Tensor> {
        let (batch, _, channels) = x.dims3()?;
        let x = self.norm1.forward(&self.narrow.forward(&x.reshape((batch, h, w, channels))?)?)?;
        Ok(self.norm2.forward(&self.mix.forward(&x)?)?.flatten(1, 2)?)
    }
}
