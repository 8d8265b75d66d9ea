//! What UNet and VAE are built from, on channels-last maps.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::Params;
use zoo_nn::activation::Activation;
use zoo_nn::attention::SelfAttention;
use zoo_nn::conv::{Conv2d, Stencil};
use zoo_nn::cross_attention::CrossAttention;
use zoo_nn::group_norm::GroupNorm;
use zoo_nn::linear::{Epilogue, Linear, Residual};
use zoo_nn::mlp::{Mlp, MlpKind};
use zoo_nn::norm::LayerNorm;

/// Of every norm but the first of a transformer.
pub(crate) const EPS: f64 = 1e-5;
/// Of the VAE's norms and of the first of a transformer.
pub(crate) const SMALL_EPS: f64 = 1e-6;

/// Two convolutions around a shortcut, told the time step where there is one.
pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Resnet {
    pub(crate) fn load(
        params: &Params,
        (inputs, outputs): (usize, usize),
        (groups, eps): (usize, f64),
        time: Option<usize>,
    ) -> Result<Self> {
        let conv = |name: &str, inputs, side| {
            Conv2d::load(&params.pp(name), inputs, outputs, Stencil::around(side), true)
        };
        let time = time.map(|width| Linear::load(&params.pp("time_emb_proj"), width, outputs, true));
        Ok(Self {
            norm1: GroupNorm::load(&params.pp("norm1"), inputs, groups, eps)?,
            conv1: conv("conv1", inputs, 3)?,
            time: time.transpose()?,
            norm2: GroupNorm::load(&params.pp("norm2"), outputs, groups, eps)?,
            conv2: conv("conv2", outputs, 3)?,
            shortcut: (inputs != outputs).then(|| conv("conv_shortcut", inputs, 1)).transpose()?,
        })
    }

    /// `x` `[B, H, W, inputs]`, `time` `[1, width]` activated.
    pub(crate) fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let mut branch = self.conv1.forward(&self.norm1.forward(x, Some(Activation::Silu))?)?;
        if let (Some(map), Some(time)) = (&self.time, time) {
            branch = branch.broadcast_add(&map.forward(time)?)?;
        }
        let branch = self.norm2.forward(&branch, Some(Activation::Silu))?;
        let changed = self.shortcut.as_ref().map(|conv| conv.forward(x)).transpose()?;
        let residual = Residual { shortcut: changed.as_ref().unwrap_or(x), scale: None };
        self.conv2.forward_with(&branch, Epilogue { activation: None, residual: Some(residual) })
    }
}

/// A transformer block over the cells of a map: to themselves, to the context, and a gated network.
pub(crate) struct Transformer {
    norm: GroupNorm,
    proj_in: Linear,
    norm1: LayerNorm,
    attn1: SelfAttention,
    norm2: LayerNorm,
    attn2: CrossAttention,
    norm3: LayerNorm,
    mlp: Mlp,
    proj_out: Linear,
}

impl Transformer {
    pub(crate) fn load(
        params: &Params,
        channels: usize,
        heads: usize,
        groups: usize,
        context: &Tensor,
    ) -> Result<Self> {
        let block = params.pp("transformer_blocks").pp(0);
        let norm = |name: &str| LayerNorm::load(&block.pp(name), channels, EPS);
        Ok(Self {
            norm: GroupNorm::load(&params.pp("norm"), channels, groups, SMALL_EPS)?,
            proj_in: Linear::load(&params.pp("proj_in"), channels, channels, true)?,
            norm1: norm("norm1")?,
            attn1: SelfAttention::load(&block.pp("attn1"), channels, heads, false)?,
            norm2: norm("norm2")?,
            attn2: CrossAttention::load(&block.pp("attn2"), channels, heads, context)?,
            norm3: norm("norm3")?,
            mlp: Mlp::load(&block.pp("mlp"), channels, 4 * channels, MlpKind::GeGlu)?,
            proj_out: Linear::load(&params.pp("proj_out"), channels, channels, true)?,
        })
    }

    pub(crate) fn forward(&self, map: &Tensor) -> Result<Tensor> {
        fn shortcut(shortcut: &Tensor) -> Option<Residual<'_>> {
            Some(Residual { shortcut, scale: None })
        }
        let x = self.proj_in.forward(&self.norm.forward(map, None)?.flatten(1, 2)?)?;
        let x = self.attn1.forward(&self.norm1, &x, shortcut(&x))?;
        let x = self.attn2.forward(&self.norm2, &x, shortcut(&x))?;
        let x = self.mlp.forward_normed(&self.norm3, &x, shortcut(&x))?.reshape(map.shape())?;
        self.proj_out.forward_with(&x, Epilogue { activation: None, residual: shortcut(map) })
    }
}

/// Every cell four times.
pub(crate) fn doubled(x: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    let wide = x.reshape((batch, height, 1, width, 1, channels))?;
    let wide = wide.broadcast_as((batch, height, 2, width, 2, channels))?.contiguous()?;
    Ok(wide.reshape((batch, 2 * height, 2 * width, channels))?)
}
