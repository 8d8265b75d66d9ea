//! The UNet up to its last up block.

use candle_core::{DType, Tensor};
use zoo_core::weights::Params;
use zoo_core::{Result, step};
use zoo_nn::activation::Activation;
use zoo_nn::conv::{Conv2d, Stencil};
use zoo_nn::linear::{Epilogue, Linear};

use crate::blocks::{EPS, Resnet, Transformer, doubled};
use crate::config::{Config, LATENTS, LEVELS};

/// Resnets of a down block; an up block has one more.
const RESNETS: usize = 2;
/// Slowest rotation of the embedding of time steps.
const PERIOD: f64 = 10_000.0;

/// A resnet and the transformer behind it.
type Pair = (Resnet, Option<Transformer>);

/// Pairs, and the convolution that leads to the next level.
struct Level {
    pairs: Vec<Pair>,
    way: Option<Conv2d>,
}

pub(crate) struct Unet {
    dtype: DType,
    channels: usize,
    conv_in: Conv2d,
    time: [Linear; 2],
    down: Vec<Level>,
    before: Resnet,
    middle: Transformer,
    after: Resnet,
    up: Vec<Level>,
}

impl Unet {
    pub(crate) fn load(params: &Params, config: &Config, context: &Tensor) -> Result<Self> {
        let (params, groups, time) = (params.pp("unet"), config.norm_groups, config.time());
        let (widths, heads) = (config.unet_channels, config.unet_heads);
        let resnet = |params: &Params, sizes| Resnet::load(params, sizes, (groups, EPS), Some(time));
        let pair = |params: &Params, i: usize, level: usize, inputs, attends: bool| -> Result<Pair> {
            let params_of = |name: &str| params.pp(name).pp(i);
            let transformer = attends.then(|| {
                Transformer::load(&params_of("attentions"), widths[level], heads[level], groups, context)
            });
            Ok((resnet(&params_of("resnets"), (inputs, widths[level]))?, transformer.transpose()?))
        };
        let down = |level: usize| -> Result<Level> {
            let (params, width) = (params.pp("down_blocks").pp(level), widths[level]);
            let last = level + 1 == LEVELS;
            let inputs = |i| if i == 0 { widths[level.saturating_sub(1)] } else { width };
            let way = (!last).then(|| {
                let params = params.pp("downsamplers").pp(0).pp("conv");
                Conv2d::load(&params, width, width, Stencil::strided(3, 2), true)
            });
            Ok(Level {
                pairs: (0..RESNETS)
                    .map(|i| pair(&params, i, level, inputs(i), !last))
                    .collect::<Result<_>>()?,
                way: way.transpose()?,
            })
        };
        // Up blocks are counted from the coarsest level on.
        let up = |block: usize| -> Result<Level> {
            let (params, level) = (params.pp("up_blocks").pp(block), LEVELS - 1 - block);
            let width = widths[level];
            let coarser = widths[(level + 1).min(LEVELS - 1)];
            // What stands beside the map comes from the way down: the last from the level above it.
            let beside = |i| if i == RESNETS { widths[level.saturating_sub(1)] } else { width };
            let inputs = |i| beside(i) + if i == 0 { coarser } else { width };
            let way = (level > 0).then(|| {
                let params = params.pp("upsamplers").pp(0).pp("conv");
                Conv2d::load(&params, width, width, Stencil::around(3), true)
            });
            Ok(Level {
                pairs: (0..=RESNETS)
                    .map(|i| pair(&params, i, level, inputs(i), block > 0))
                    .collect::<Result<_>>()?,
                way: way.transpose()?,
            })
        };
        let (middle, last) = (params.pp("mid_block"), LEVELS - 1);
        let embedding = params.pp("time_embedding");
        Ok(Self {
            dtype: params.dtype(),
            channels: widths[0],
            conv_in: Conv2d::load(&params.pp("conv_in"), LATENTS, widths[0], Stencil::around(3), true)?,
            time: [
                Linear::load(&embedding.pp("linear_1"), widths[0], time, true)?,
                Linear::load(&embedding.pp("linear_2"), time, time, true)?,
            ],
            down: (0..LEVELS).map(down).collect::<Result<_>>()?,
            before: resnet(&middle.pp("resnets").pp(0), (widths[last], widths[last]))?,
            middle: Transformer::load(
                &middle.pp("attentions").pp(0),
                widths[last],
                heads[last],
                groups,
                context,
            )?,
            after: resnet(&middle.pp("resnets").pp(1), (widths[last], widths[last]))?,
            up: (0..LEVELS).map(up).collect::<Result<_>>()?,
        })
    }

    /// What the resnets are told of a time step: `[1, 4 C]`, activated.
    fn embed(&self, at: usize, like: &Tensor) -> Result<Tensor> {
        let half = self.channels / 2;
        let angle = |k: usize| at as f64 * (-PERIOD.ln() * k as f64 / half as f64).exp();
        let waves: Vec<f32> = (0..half)
            .map(|k| angle(k).cos() as f32)
            .chain((0..half).map(|k| angle(k).sin() as f32))
            .collect();
        let waves = Tensor::from_vec(waves, (1, 2 * half), like.device())?.to_dtype(self.dtype)?;
        let epilogue = Epilogue { activation: Some(Activation::Silu), residual: None };
        let [first, second] = &self.time;
        second.forward_with(&first.forward_with(&waves, epilogue)?, epilogue)
    }

    /// What the up blocks `0..=last` make of noisy latents `[B, h, w, 4]` at a time step, coarsest first.
    pub(crate) fn forward(&self, latents: &Tensor, at: usize, last: usize) -> Result<Vec<Tensor>> {
        let time = Some(self.embed(at, latents)?);
        let time = time.as_ref();
        let total = LEVELS + 1 + last + 1;
        let run = |(resnet, transformer): &Pair, x: &Tensor| -> Result<Tensor> {
            let x = resnet.forward(x, time)?;
            transformer.as_ref().map_or(Ok(x.clone()), |transformer| transformer.forward(&x))
        };
        let mut x = self.conv_in.forward(latents)?;
        let mut beside = vec![x.clone()];
        for (done, level) in self.down.iter().enumerate() {
            step(done, total)?;
            for pair in &level.pairs {
                x = run(pair, &x)?;
                beside.push(x.clone());
            }
            if let Some(way) = &level.way {
                x = way.forward(&x)?;
                beside.push(x.clone());
            }
        }
        step(LEVELS, total)?;
        let x = self.before.forward(&x, time)?;
        let mut x = self.after.forward(&self.middle.forward(&x)?, time)?;
        let mut maps = Vec::with_capacity(last + 1);
        for (done, level) in self.up.iter().enumerate().take(last + 1) {
            step(LEVELS + 1 + done, total)?;
            for pair in &level.pairs {
                let other = beside.pop().unwrap_or_else(|| x.clone());
                x = run(pair, &Tensor::cat(&[&x, &other], 3)?)?;
            }
            if let Some(way) = &level.way {
                x = way.forward(&doubled(&x)?)?;
            }
            maps.push(x.clone());
        }
        Ok(maps)
    }
}
