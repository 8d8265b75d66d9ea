//! One block: attention within windows or to all cells, then the feed-forward network.

use candle_core::Tensor;
use zoo_core::weights::Params;
use zoo_core::{Grid, Result};
use zoo_nn::activation::Activation;
use zoo_nn::attention::SelfAttention;
use zoo_nn::linear::Residual;
use zoo_nn::mlp::{Mlp, MlpKind};
use zoo_nn::norm::LayerNorm;
use zoo_nn::relative::RelativePositions;
use zoo_nn::windows::Windows;

use crate::config::Config;

pub(crate) struct Block {
    norm1: LayerNorm,
    attn: SelfAttention,
    positions: RelativePositions,
    /// Side in cells; none where all cells attend to all.
    window: Option<usize>,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    pub(crate) fn load(params: &Params, config: &Config, index: usize) -> Result<Self> {
        let (width, eps) = (config.embed_dim, config.norm_eps);
        let (params, window) = (params.pp("blocks").pp(index), config.window(index));
        let grid = window.map_or(config.native_grid(), Grid::square);
        let attn = params.pp("attn");
        Ok(Self {
            norm1: LayerNorm::load(&params.pp("norm1"), width, eps)?,
            positions: RelativePositions::load(&attn, grid, width / config.num_heads)?,
            attn: SelfAttention::load(&attn, width, config.num_heads, true)?,
            window,
            norm2: LayerNorm::load(&params.pp("norm2"), width, eps)?,
            mlp: Mlp::load(&params.pp("mlp"), width, config.mlp_dim, MlpKind::Plain(Activation::GeluErf))?,
        })
    }

    /// `[B, cells, C]` to the same shape.
    pub(crate) fn forward(&self, x: &Tensor, grid: Grid) -> Result<Tensor> {
        let (normed, shortcut) = (self.norm1.forward(x)?, Residual { shortcut: x, scale: None });
        let x = match self.window {
            None => self.attn.forward_relative(&self.positions, grid, &normed, Some(shortcut))?,
            Some(side) => {
                // Zeros that fill the last windows stand behind the norm, and are looked at like other cells.
                let windows = Windows { grid, side };
                let cut = windows.split(&normed)?;
                let mixed = self.attn.forward_relative(&self.positions, Grid::square(side), &cut, None)?;
                (x + windows.join(&mixed)?)?
            }
        };
        self.mlp.forward_normed(&self.norm2, &x, Some(Residual { shortcut: &x, scale: None }))
    }
}
