//! All of it: pixels in, maps of the up blocks out.

use candle_core::{DType, Tensor};
use zoo_core::weights::Params;
use zoo_core::{
    CallOptions, Cost, EncoderDescriptor, Extent, FeatureMap, FeatureRequest, Grid, LayerInfo, OptionInfo,
    Resolution, Result,
};
use zoo_nn::conv::Conv2d;
use zoo_nn::encoder::Trunk;

use crate::config::{Config, LATENT, LATENTS, LEVELS, PROMPT, STRIDE};
use crate::noise::{self, STEPS};
use crate::text;
use crate::unet::Unet;
use crate::vae::Vae;

/// The step of Cambrian-1 (arXiv 2406.16860, after 2404.08636).
const STEP: i64 = 250;

pub(crate) struct Diffusion {
    dtype: DType,
    vae: Vae,
    unet: Unet,
}

/// `step` and `noise`.
fn options() -> [OptionInfo; 2] {
    let shape = [Extent::Batch, Extent::Is(LATENTS), Extent::Height(LATENT), Extent::Width(LATENT)];
    [
        OptionInfo::integer("step", "time step, 0 being an image without noise", STEP, 0..=STEPS as i64 - 1),
        OptionInfo::tensor("noise", "normal numbers that are added to the latents", &shape),
    ]
}

/// Grid of an up block for latents on `grid`: the two finest are on that of the latents.
fn coarseness(block: usize) -> usize {
    1 << (LEVELS - 2).saturating_sub(block)
}

impl Trunk for Diffusion {
    type Config = Config;

    fn load(params: &Params, config: &Config) -> Result<Self> {
        let vae = Vae::load(params, config)?;
        let context = text::context(params, config)?;
        Ok(Self { dtype: params.dtype(), vae, unet: Unet::load(params, config, &context)? })
    }

    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        self.forward_with(pixels, request, &CallOptions::default())
    }

    fn forward_with(
        &self,
        pixels: &Tensor,
        request: &FeatureRequest,
        given: &CallOptions,
    ) -> Result<Vec<FeatureMap>> {
        let wanted = request.layers.resolve(LEVELS)?;
        let last = wanted.iter().copied().max().unwrap_or(0);
        let [step, noise] = options();
        let step = usize::try_from(given.integer(&step)?).unwrap_or(0);
        let (_, _, height, width) = pixels.dims4()?;
        let pixels = pixels.to_dtype(self.dtype)?.permute((0, 2, 3, 1))?.contiguous()?;
        let latents = self.vae.forward(&pixels)?;
        let grid = Grid { h: height / LATENT, w: width / LATENT };
        let noise = match given.tensor(&noise) {
            Some(noise) => noise.clone(),
            None => noise::fixed(grid, pixels.device())?,
        };
        let noise = noise.to_dtype(self.dtype)?.permute((0, 2, 3, 1))?;
        let (kept, added) = noise::factors(step);
        let latents = (latents * kept)?.broadcast_add(&(noise * added)?)?;
        let maps = self.unet.forward(&latents, step, last)?;
        let map = |layer: usize| -> Result<FeatureMap> {
            let (_, h, w, _) = maps[layer].dims4()?;
            let tokens = maps[layer].flatten(1, 2)?;
            Ok(FeatureMap { tokens, prefix: None, grid: Grid { h, w }, layer, normed: false })
        };
        wanted.into_iter().map(map).collect()
    }

    fn descriptor(config: &Config, id: &str, parameters: u64) -> EncoderDescriptor {
        let layer = |block: usize| LayerInfo {
            channels: config.unet_channels[LEVELS - 1 - block],
            stride: LATENT * coarseness(block),
        };
        EncoderDescriptor {
            id: id.to_owned(),
            layers: (0..LEVELS).map(layer).collect(),
            prefix: Vec::new(),
            final_norm: false,
            native: config.image_size,
            resolution: Resolution::MultipleOf(STRIDE),
            parameters,
            vjp: true,
            options: options().to_vec(),
        }
    }

    /// Convolutions, products and attention of the VAE's encoder and of the UNet. Norms, biases and activations are not
    /// counted, nor is the text, which is read once.
    fn cost(config: &Config, dtype: DType, batch: usize, height: usize, width: usize) -> Cost {
        let conv = |cells: usize, inputs: usize, outputs: usize| cells * 9 * inputs * outputs;
        let resnet = |cells: usize, inputs: usize, outputs: usize| {
            let shortcut = if inputs == outputs { 0 } else { inputs * outputs };
            conv(cells, inputs, outputs) + conv(cells, outputs, outputs) + cells * shortcut
        };
        let transformer = |cells: usize, c: usize| {
            cells * (2 * c * c + 4 * c * c + 2 * cells * c + 2 * c * c + 2 * PROMPT * c + 12 * c * c)
        };
        let pixels = height * width;
        let (vae, unet) = (config.vae_channels, config.unet_channels);
        let mut macs = conv(pixels, 3, vae[0]);
        for level in 0..LEVELS {
            let (cells, first) = (pixels >> (2 * level), vae[level.saturating_sub(1)]);
            macs += resnet(cells, first, vae[level]) + resnet(cells, vae[level], vae[level]);
            macs += if level + 1 < LEVELS { conv(cells / 4, vae[level], vae[level]) } else { 0 };
        }
        let (last, latents) = (vae[LEVELS - 1], pixels / (LATENT * LATENT));
        macs += 2 * resnet(latents, last, last) + latents * (4 * last * last + 2 * latents * last);
        macs += conv(latents, last, 2 * LATENTS) + conv(latents, LATENTS, unet[0]);
        for level in 0..LEVELS {
            let (cells, c, deepest) = (latents >> (2 * level), unet[level], level + 1 == LEVELS);
            let (finer, coarser) = (unet[level.saturating_sub(1)], unet[(level + 1).min(LEVELS - 1)]);
            macs += resnet(cells, finer, c) + resnet(cells, c, c);
            macs += resnet(cells, coarser + c, c) + resnet(cells, 2 * c, c) + resnet(cells, c + finer, c);
            macs += if deepest { 0 } else { conv(cells / 4, c, c) + 5 * transformer(cells, c) };
            macs += if level > 0 { conv(4 * cells, c, c) } else { 0 };
        }
        let (coarsest, c) = (latents >> (2 * (LEVELS - 1)), unet[LEVELS - 1]);
        macs += 2 * resnet(coarsest, c, c) + transformer(coarsest, c);
        // The first level of the VAE has the largest maps: two at a time, and the cut of a convolution.
        let size = dtype.size_in_bytes();
        let maps = 3 * batch * pixels * vae[0] * size;
        let cut = Conv2d::held(vae[0], 3, batch * pixels) * size;
        Cost { macs: (batch * macs) as u64, activation_bytes: (maps + cut) as u64 }
    }
}
