//! From pixels to latents: the encoder of the VAE, of whose two results the mean is taken.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::Params;
use zoo_nn::activation::Activation;
use zoo_nn::attention::SelfAttention;
use zoo_nn::conv::{Conv2d, Stencil};
use zoo_nn::group_norm::GroupNorm;
use zoo_nn::linear::{Linear, Residual};

use crate::blocks::{Resnet, SMALL_EPS};
use crate::config::{Config, LATENTS, LEVELS};

/// What latents are multiplied by, so that they vary by about 1.
const SCALE: f64 = 0.182_15;
/// Resnets of a level.
const RESNETS: usize = 2;

pub(crate) struct Vae {
    conv_in: Conv2d,
    levels: Vec<(Vec<Resnet>, Option<Conv2d>)>,
    before: Resnet,
    norm: GroupNorm,
    attn: SelfAttention,
    after: Resnet,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    quant: Linear,
}

impl Vae {
    pub(crate) fn load(params: &Params, config: &Config) -> Result<Self> {
        let (params, quant) = (params.pp("vae").pp("encoder"), params.pp("vae").pp("quant_conv"));
        let (widths, groups) = (config.vae_channels, config.norm_groups);
        let resnet = |params: &Params, sizes| Resnet::load(params, sizes, (groups, SMALL_EPS), None);
        let level = |level: usize| -> Result<_> {
            let (params, width) = (params.pp("down_blocks").pp(level), widths[level]);
            let first = widths[level.saturating_sub(1)];
            let resnets = (0..RESNETS)
                .map(|i| resnet(&params.pp("resnets").pp(i), (if i == 0 { first } else { width }, width)))
                .collect::<Result<Vec<_>>>()?;
            // Zeros on one side only.
            let halve = Stencil { side: 3, stride: 2, before: 0, after: 1 };
            let down = (level + 1 < LEVELS).then(|| {
                Conv2d::load(&params.pp("downsamplers").pp(0).pp("conv"), width, width, halve, true)
            });
            Ok((resnets, down.transpose()?))
        };
        let (mid, last, moments) = (params.pp("mid_block"), widths[LEVELS - 1], 2 * LATENTS);
        let attention = mid.pp("attentions").pp(0);
        let around = |params: &Params, inputs, outputs| {
            Conv2d::load(params, inputs, outputs, Stencil::around(3), true)
        };
        let init = zoo_core::weights::Init::fan_in(moments);
        let weight = quant.get("weight", (moments, moments, 1, 1), init)?.reshape((moments, moments))?;
        Ok(Self {
            conv_in: around(&params.pp("conv_in"), 3, widths[0])?,
            levels: (0..LEVELS).map(level).collect::<Result<_>>()?,
            before: resnet(&mid.pp("resnets").pp(0), (last, last))?,
            norm: GroupNorm::load(&attention.pp("group_norm"), last, groups, SMALL_EPS)?,
            attn: SelfAttention::load(&attention, last, 1, true)?,
            after: resnet(&mid.pp("resnets").pp(1), (last, last))?,
            norm_out: GroupNorm::load(&params.pp("conv_norm_out"), last, groups, SMALL_EPS)?,
            conv_out: around(&params.pp("conv_out"), last, moments)?,
            quant: Linear::new(weight, Some(quant.get("bias", moments, init)?)),
        })
    }

    /// `[B, H, W, 3]` in -1..1 to latents `[B, H / 8, W / 8, 4]`.
    pub(crate) fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let mut x = self.conv_in.forward(pixels)?;
        for (resnets, down) in &self.levels {
            for resnet in resnets {
                x = resnet.forward(&x, None)?;
            }
            if let Some(down) = down {
                x = down.forward(&x)?;
            }
        }
        let x = self.before.forward(&x, None)?;
        let x = self.after.forward(&self.attend(&x)?, None)?;
        let x = self.conv_out.forward(&self.norm_out.forward(&x, Some(Activation::Silu))?)?;
        let mean = self.quant.forward(&x)?.narrow(3, 0, LATENTS)?;
        Ok((mean * SCALE)?)
    }

    fn attend(&self, x: &Tensor) -> Result<Tensor> {
        let normed = self.norm.forward(x, None)?.flatten(1, 2)?;
        let tokens = x.flatten(1, 2)?;
        let residual = Residual { shortcut: &tokens, scale: None };
        Ok(self.attn.forward_unnormed(&normed, Some(residual))?.reshape(x.shape())?)
    }
}
