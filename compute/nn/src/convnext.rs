//! ConvNeXt (arXiv 2201.03545), channels last throughout.
//!
//! Canonical names are timm's: `stem.{0,1}`, `stages.{s}.downsample.{0,1}`,
//! `stages.{s}.blocks.{b}.{conv_dw,norm,mlp.fc1,mlp.fc2,gamma}`.

use std::sync::Arc;

use candle_core::{DType, Tensor};
use half::bf16;
use serde::Deserialize;
use zoo_core::weights::{Init, Params};
use zoo_core::{
    Cost, EncoderDescriptor, Error, FeatureMap, FeatureRequest, Grid, LayerInfo, Resolution, Result, Spec,
    step,
};
use zoo_kernels::FeedForward;

use crate::activation::Activation;
use crate::conv::{Conv2d, Stencil};
use crate::depthwise::Depthwise;
use crate::encoder::{Trunk, TrunkEncoder};
use crate::linear::Residual;
use crate::mlp::{Mlp, MlpKind};
use crate::norm::LayerNorm;
use crate::recompute;

/// A ConvNeXt encoder. Its layers are the raw outputs of the four stages, at strides 4, 8, 16 and 32.
pub type ConvNeXt = TrunkEncoder<ConvNeXtTrunk>;

/// Stages of every ConvNeXt.
const STAGES: usize = 4;
/// Side of the depthwise kernels.
const KERNEL: usize = 7;
/// Stride of the stem; each later stage halves the grid once more.
const STEM: usize = 4;
/// Inner width of a block's MLP, in units of its channels.
const EXPANSION: usize = 4;
/// Stride of the last stage: image sizes are multiples of it.
const STRIDE: usize = STEM << (STAGES - 1);

/// A ConvNeXt as numbers: the keys of a registry row's `arch` table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvNeXtConfig {
    /// Blocks of each stage.
    pub depths: [usize; STAGES],
    /// Channels of each stage.
    pub dims: [usize; STAGES],
    /// Side in pixels of the square image that the weights were made for. Nothing depends on it: any multiple of
    /// 32 works.
    pub image_size: usize,
    /// Epsilon of every LayerNorm.
    #[serde(default = "default_eps")]
    pub norm_eps: f64,
}

fn default_eps() -> f64 {
    1e-6
}

impl ConvNeXtConfig {
    /// The numbers of a registry row.
    ///
    /// # Errors
    /// [`Error::Arch`] for an unknown or missing key and for numbers that no network has.
    pub fn from_spec(spec: &Spec) -> Result<Self> {
        let config: Self = spec.arch()?;
        config.check().map_err(|message| Error::Arch { id: spec.id.clone(), message })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        for (name, numbers, limit) in [("depths", self.depths, 1 << 10), ("dims", self.dims, 1 << 16)] {
            if let Some(number) = numbers.iter().find(|n| !(1..=limit).contains(*n)) {
                return Err(format!("`{name}` holds {number}; it must be in 1..={limit}"));
            }
        }
        if self.image_size == 0 || !self.image_size.is_multiple_of(STRIDE) {
            return Err(format!("`image_size` = {} is no multiple of {STRIDE}", self.image_size));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(format!("`norm_eps` = {} is not between 0 and 1", self.norm_eps));
        }
        Ok(())
    }

    /// Pixels per cell of a stage's grid.
    fn stride(stage: usize) -> usize {
        STEM << stage
    }
}

/// The weights.
pub struct ConvNeXtTrunk {
    dtype: DType,
    stem: Conv2d,
    stem_norm: LayerNorm,
    stages: Vec<Stage>,
}

struct Stage {
    /// All stages but the first halve the grid.
    downsample: Option<(LayerNorm, Conv2d)>,
    blocks: Vec<Arc<Block>>,
}

/// `x + gamma · mlp(norm(conv x))`.
struct Block {
    conv: Depthwise,
    norm: LayerNorm,
    mlp: Mlp,
    gamma: Tensor,
}

impl Block {
    fn load(params: &Params, channels: usize, eps: f64) -> Result<Self> {
        let kind = MlpKind::Plain(Activation::GeluErf);
        Ok(Self {
            conv: Depthwise::load(&params.pp("conv_dw"), channels, KERNEL)?,
            norm: LayerNorm::load(&params.pp("norm"), channels, eps)?,
            mlp: Mlp::load(&params.pp("mlp"), channels, EXPANSION * channels, kind)?,
            gamma: params.get("gamma", channels, Init::Const(1.0))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let branch = self.conv.forward(x, &self.norm)?;
        self.mlp.forward(&branch, Some(Residual { shortcut: x, scale: Some(&self.gamma) }))
    }
}

impl Trunk for ConvNeXtTrunk {
    type Config = ConvNeXtConfig;

    fn load(params: &Params, config: &ConvNeXtConfig) -> Result<Self> {
        let (dims, eps) = (config.dims, config.norm_eps);
        let stage = |s: usize| -> Result<Stage> {
            let params = params.pp("stages").pp(s);
            let halve = |s: usize| -> Result<(LayerNorm, Conv2d)> {
                let params = params.pp("downsample");
                let norm = LayerNorm::load(&params.pp(0), dims[s - 1], eps)?;
                Ok((norm, Conv2d::load(&params.pp(1), dims[s - 1], dims[s], Stencil::patches(2), true)?))
            };
            let downsample = (s > 0).then(|| halve(s)).transpose()?;
            let block = |b| Ok(Arc::new(Block::load(&params.pp("blocks").pp(b), dims[s], eps)?));
            Ok(Stage { downsample, blocks: (0..config.depths[s]).map(block).collect::<Result<_>>()? })
        };
        Ok(Self {
            dtype: params.dtype(),
            stem: Conv2d::load(&params.pp("stem").pp(0), 3, dims[0], Stencil::patches(STEM), true)?,
            stem_norm: LayerNorm::load(&params.pp("stem").pp(1), dims[0], eps)?,
            stages: (0..STAGES).map(stage).collect::<Result<_>>()?,
        })
    }

    /// Stages after the last requested one do not run.
    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        let wanted = request.layers.resolve(STAGES)?;
        let last = wanted.iter().copied().max().unwrap_or(0);
        let pixels = pixels.to_dtype(self.dtype)?.permute((0, 2, 3, 1))?.contiguous()?;
        let mut x = self.stem_norm.forward(&self.stem.forward(&pixels)?)?;
        let mut maps = Vec::with_capacity(STAGES);
        let total = self.stages.iter().take(last + 1).map(|stage| stage.blocks.len()).sum();
        let mut done = 0;
        for (layer, stage) in self.stages.iter().enumerate().take(last + 1) {
            if let Some((norm, conv)) = &stage.downsample {
                x = conv.forward(&norm.forward(&x)?)?;
            }
            for block in &stage.blocks {
                step(done, total)?;
                let block = block.clone();
                x = recompute::block(&[&x], move |x| block.forward(&x[0]))?;
                done += 1;
            }
            let (_, h, w, _) = x.dims4()?;
            let tokens = x.flatten(1, 2)?;
            maps.push(FeatureMap { tokens, prefix: None, grid: Grid { h, w }, layer, normed: false });
        }
        Ok(wanted.into_iter().map(|layer| maps[layer].clone()).collect())
    }

    fn descriptor(config: &ConvNeXtConfig, id: &str, parameters: u64) -> EncoderDescriptor {
        let layer = |(stage, &channels)| LayerInfo { channels, stride: ConvNeXtConfig::stride(stage) };
        EncoderDescriptor {
            id: id.to_owned(),
            layers: config.dims.iter().enumerate().map(layer).collect(),
            prefix: Vec::new(),
            final_norm: false,
            native: config.image_size,
            resolution: Resolution::MultipleOf(STRIDE),
            parameters,
            vjp: true,
            options: Vec::new(),
        }
    }

    /// Convolutions and matrix products of all stages; norms, biases and activations are not counted. Memory is that of
    /// the CPU's kernels.
    fn cost(config: &ConvNeXtConfig, dtype: DType, batch: usize, height: usize, width: usize) -> Cost {
        let (mut macs, mut peak, mut inputs, mut step) = (0, 0, 3, STEM);
        for (stage, (&depth, &channels)) in config.depths.iter().zip(&config.dims).enumerate() {
            let stride = ConvNeXtConfig::stride(stage);
            let cells = batch * (height / stride) * (width / stride);
            let block = channels * (KERNEL * KERNEL + 2 * EXPANSION * channels);
            macs += cells * (inputs * step * step * channels + depth * block);
            // The shortcut, the normed branch and the result, and the inner layer of a few cells.
            let held = match dtype {
                DType::BF16 => FeedForward::<bf16>::held,
                _ => FeedForward::<f32>::held,
            };
            let maps = 3 * cells * channels * dtype.size_in_bytes();
            peak = peak.max(maps + held(cells, EXPANSION * channels));
            (inputs, step) = (channels, 2);
        }
        Cost { macs: macs as u64, activation_bytes: peak as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(depths: [usize; 4], dims: [usize; 4]) -> ConvNeXtConfig {
        ConvNeXtConfig { depths, dims, image_size: 320, norm_eps: 1e-6 }
    }

    /// The catalogue's figures for the two published sizes.
    #[test]
    fn cost_of_the_published_models() {
        let large = config([3, 3, 27, 3], [192, 384, 768, 1536]);
        let xxl = config([3, 4, 30, 3], [384, 768, 1536, 3072]);
        let giga = |config, side| {
            let macs = ConvNeXtTrunk::cost(config, DType::F32, 1, side, side).macs;
            (macs as f64 / 1e9).round()
        };
        assert_eq!((giga(&large, 512), giga(&large, 1024), giga(&xxl, 1024)), (180.0, 718.0, 3167.0));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        assert!(config([1, 1, 1, 1], [8, 8, 8, 8]).check().is_ok());
        assert!(config([1, 0, 1, 1], [8, 8, 8, 8]).check().unwrap_err().contains("depths"));
        assert!(config([1, 1, 1, 1], [8, 8, 8, 1 << 20]).check().unwrap_err().contains("dims"));
        let odd = ConvNeXtConfig { image_size: 100, ..config([1; 4], [8; 4]) };
        assert!(odd.check().unwrap_err().contains("multiple of 32"));
    }
}
