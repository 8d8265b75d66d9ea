//! BEiT: a ViT that knows where its tokens are by what their distances add to scores.

use candle_core::{DType, Tensor};
use serde::Deserialize;
use zoo_core::weights::{Init, Params};
use zoo_core::{
    Cost, EncoderDescriptor, Error, FeatureMap, FeatureRequest, Grid, LayerInfo, PrefixToken, Resolution,
    Result, Spec, step,
};
use zoo_nn::activation::Activation;
use zoo_nn::attention::SelfAttention;
use zoo_nn::encoder::Trunk;
use zoo_nn::linear::Residual;
use zoo_nn::mlp::{Mlp, MlpKind};
use zoo_nn::norm::LayerNorm;
use zoo_nn::patch_embed::{PatchEmbed, Surroundings};

use crate::scores::Distances;

/// The keys of a registry row's `arch` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BeitConfig {
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
    mlp_dim: usize,
    patch_size: usize,
    /// Side in pixels of the image that the numbers of distances were made for.
    image_size: usize,
    #[serde(default = "eps")]
    norm_eps: f64,
}

fn eps() -> f64 {
    1e-12
}

impl BeitConfig {
    pub(crate) fn from_spec(spec: &Spec) -> Result<Self> {
        let config: Self = spec.arch()?;
        config.check().map_err(|message| Error::Arch { id: spec.id.clone(), message })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let numbers = [
            ("embed_dim", self.embed_dim),
            ("depth", self.depth),
            ("num_heads", self.num_heads),
            ("mlp_dim", self.mlp_dim),
            ("patch_size", self.patch_size),
            ("image_size", self.image_size),
        ];
        if let Some((name, number)) = numbers.iter().find(|(_, number)| !(1..=1 << 20).contains(number)) {
            return Err(format!("`{name}` = {number} is not in 1..={}", 1 << 20));
        }
        let (channels, heads) = (self.embed_dim, self.num_heads);
        if !channels.is_multiple_of(heads) {
            return Err(format!("`embed_dim` = {channels} is no multiple of `num_heads` = {heads}"));
        }
        if self.image_size < self.patch_size {
            let (image, patch) = (self.image_size, self.patch_size);
            return Err(format!("`image_size` = {image} is smaller than `patch_size` = {patch}"));
        }
        Ok(())
    }

    fn native_grid(&self) -> Grid {
        Grid::square(self.image_size / self.patch_size)
    }
}

pub(crate) struct Beit {
    patch_embed: PatchEmbed,
    class: Tensor,
    blocks: Vec<Block>,
}

/// `x + gamma_1 · attn(norm1 x)`, then `x + gamma_2 · mlp(norm2 x)`.
struct Block {
    norm1: LayerNorm,
    attn: SelfAttention,
    distances: Distances,
    gamma1: Tensor,
    norm2: LayerNorm,
    mlp: Mlp,
    gamma2: Tensor,
}

impl Block {
    fn load(params: &Params, config: &BeitConfig) -> Result<Self> {
        let (width, heads, eps) = (config.embed_dim, config.num_heads, config.norm_eps);
        let attn = params.pp("attn");
        Ok(Self {
            norm1: LayerNorm::load(&params.pp("norm1"), width, eps)?,
            distances: Distances::load(&attn, config.native_grid(), heads)?,
            attn: SelfAttention::load(&attn, width, heads, true)?,
            gamma1: params.get("gamma_1", width, Init::Const(0.1))?,
            norm2: LayerNorm::load(&params.pp("norm2"), width, eps)?,
            mlp: Mlp::load(&params.pp("mlp"), width, config.mlp_dim, MlpKind::Plain(Activation::GeluErf))?,
            gamma2: params.get("gamma_2", width, Init::Const(0.1))?,
        })
    }

    fn forward(&self, x: &Tensor, grid: Grid) -> Result<Tensor> {
        let scores = self.distances.scores(grid)?;
        let residual = Residual { shortcut: x, scale: Some(&self.gamma1) };
        let x = self.attn.forward_biased(&self.norm1, x, &scores, Some(residual))?;
        let residual = Residual { shortcut: &x, scale: Some(&self.gamma2) };
        self.mlp.forward_normed(&self.norm2, &x, Some(residual))
    }
}

impl Trunk for Beit {
    type Config = BeitConfig;

    fn load(params: &Params, config: &BeitConfig) -> Result<Self> {
        let width = config.embed_dim;
        Ok(Self {
            patch_embed: PatchEmbed::load(&params.pp("patch_embed"), width, config.patch_size, true)?,
            class: params.get("cls_token", (1, 1, width), Init::Normal { mean: 0.0, std: 0.02 })?,
            blocks: (0..config.depth)
                .map(|i| Block::load(&params.pp("blocks").pp(i), config))
                .collect::<Result<_>>()?,
        })
    }

    /// Blocks after the last requested one do not run.
    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        let wanted = request.layers.resolve(self.blocks.len())?;
        let last = wanted.iter().copied().max().unwrap_or(0);
        let grid = self.patch_embed.grid(pixels)?;
        let surroundings = Surroundings { prefix: Some(&self.class), positions: None };
        let mut x = self.patch_embed.forward(pixels, surroundings)?;
        let mut seen = Vec::with_capacity(last + 1);
        for (layer, block) in self.blocks.iter().enumerate().take(last + 1) {
            step(layer, last + 1)?;
            x = block.forward(&x, grid)?;
            seen.push(wanted.contains(&layer).then(|| x.clone()));
        }
        let map = |layer: usize| -> Result<FeatureMap> {
            let missing = || Error::Internal(format!("layer {layer} did not run"));
            let x = seen[layer].as_ref().ok_or_else(missing)?;
            Ok(FeatureMap {
                tokens: x.narrow(1, 1, grid.cells())?.contiguous()?,
                prefix: if request.prefix { Some(x.narrow(1, 0, 1)?.contiguous()?) } else { None },
                grid,
                layer,
                normed: false,
            })
        };
        wanted.into_iter().map(map).collect()
    }

    fn descriptor(config: &BeitConfig, id: &str, parameters: u64) -> EncoderDescriptor {
        let layer = LayerInfo { channels: config.embed_dim, stride: config.patch_size };
        EncoderDescriptor {
            id: id.to_owned(),
            layers: vec![layer; config.depth],
            prefix: vec![PrefixToken::Cls],
            final_norm: false,
            native: config.image_size,
            resolution: Resolution::AtLeast(config.patch_size),
            parameters,
            vjp: true,
            options: Vec::new(),
        }
    }

    /// Patch embedding and all blocks; norms, biases and activations are not counted. What distances add to the scores of
    /// a block is a matrix for each head, whatever the batch.
    fn cost(config: &BeitConfig, dtype: DType, batch: usize, height: usize, width: usize) -> Cost {
        let (c, patch, heads) = (config.embed_dim, config.patch_size, config.num_heads);
        let cells = (height / patch) * (width / patch);
        let tokens = cells + 1;
        let block = tokens * c * (4 * c + 2 * tokens + 2 * config.mlp_dim);
        let macs = batch * (cells * 3 * patch * patch * c + config.depth * block);
        let size = dtype.size_in_bytes();
        let scores = heads * tokens * tokens * DType::F32.size_in_bytes();
        let attention =
            6 * batch * tokens * c * size + scores + SelfAttention::held(batch, heads, tokens, c, dtype);
        let mlp = batch * tokens * (3 * c + config.mlp_dim) * size;
        Cost { macs: macs as u64, activation_bytes: attention.max(mlp) as u64 }
    }
}
