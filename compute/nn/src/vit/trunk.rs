//! The transformer itself: pixels in, tokens of chosen blocks out.

use candle_core::Tensor;
use zoo_core::weights::{Init, Params};
use zoo_core::{FeatureMap, FeatureRequest, Grid, Result, step};

use super::block::Block;
use super::config::ViTConfig;
use crate::norm::LayerNorm;
use crate::patch_embed::{PatchEmbed, Surroundings};
use crate::pos_embed::PosEmbed;

/// Weights of a vision transformer. Canonical names are timm's: `cls_token`, `reg_token`, `pos_embed`,
/// `patch_embed.proj`, `norm_pre`, `blocks.{i}.{norm1,attn.qkv,attn.proj,ls1.gamma,norm2,mlp.…,ls2.gamma}`,
/// `norm`; a gated network's are `mlp.w12` and `mlp.w3`.
pub struct VisionTransformer {
    patch_embed: PatchEmbed,
    /// Class and register tokens `[1, P, D]`, with the position of the former.
    prefix: Option<Tensor>,
    positions: PosEmbed,
    pre_norm: Option<LayerNorm>,
    blocks: Vec<Block>,
    norm: Option<LayerNorm>,
}

impl VisionTransformer {
    pub(super) fn read(params: &Params, config: &ViTConfig) -> Result<Self> {
        let (width, style) = (config.embed_dim, &config.style);
        let token = Init::Normal { mean: 0.0, std: 0.02 };
        let norm = |name: &str, present: bool| -> Result<Option<LayerNorm>> {
            present.then(|| LayerNorm::load(&params.pp(name), width, style.norm_eps)).transpose()
        };
        let class = style.class_token.then(|| params.get("cls_token", (1, 1, width), token)).transpose()?;
        let registers = (style.registers > 0)
            .then(|| params.get("reg_token", (1, style.registers, width), token))
            .transpose()?;
        let (native, prefix) = (config.native_grid(), usize::from(style.class_pos));
        let table = params.get("pos_embed", (1, prefix + native.cells(), width), token)?;
        let patch_embed =
            PatchEmbed::load(&params.pp("patch_embed"), width, config.patch_size, style.patch_bias)?;
        let pre_norm = norm("norm_pre", style.pre_norm)?;
        let blocks = (0..config.depth)
            .map(|i| Block::load(&params.pp("blocks").pp(i), config))
            .collect::<Result<_>>()?;
        let norm = norm("norm", style.final_norm)?;
        let positions = PosEmbed::new(table, prefix, native, style.pos_mode);
        let class = match (class, positions.prefix()?) {
            (Some(class), Some(position)) => Some((class + position)?),
            (class, _) => class,
        };
        let prefix = class.into_iter().chain(registers).collect::<Vec<_>>();
        let prefix = if prefix.is_empty() { None } else { Some(Tensor::cat(&prefix, 1)?) };
        Ok(Self { patch_embed, prefix, positions, pre_norm, blocks, norm })
    }

    /// Tokens `[B, P + N, D]` before the first block, and the grid of the last `N`.
    fn embed(&self, pixels: &Tensor) -> Result<(Tensor, Grid)> {
        let grid = self.patch_embed.grid(pixels)?;
        let positions = self.positions.patches(grid)?;
        let surroundings = Surroundings { prefix: self.prefix.as_ref(), positions: Some(&positions) };
        let tokens = self.patch_embed.forward(pixels, surroundings)?;
        let tokens = match &self.pre_norm {
            Some(norm) => norm.forward(&tokens)?,
            None => tokens,
        };
        Ok((tokens, grid))
    }

    /// The requested maps of `pixels` `[B, 3, H, W]`; blocks after the last requested one do not run.
    pub(super) fn features(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        let wanted = request.layers.resolve(self.blocks.len())?;
        let last = wanted.iter().copied().max().unwrap_or(0);
        let (mut tokens, grid) = self.embed(pixels)?;
        let mut maps: Vec<Option<FeatureMap>> = vec![None; wanted.len()];
        for (layer, block) in self.blocks.iter().enumerate().take(last + 1) {
            step(layer, last + 1)?;
            tokens = block.forward(&tokens)?;
            if !wanted.contains(&layer) {
                continue;
            }
            let map = self.map(&tokens, grid, layer, request)?;
            for (slot, _) in maps.iter_mut().zip(&wanted).filter(|(_, w)| **w == layer) {
                *slot = Some(map.clone());
            }
        }
        Ok(maps.into_iter().flatten().collect())
    }

    fn map(&self, tokens: &Tensor, grid: Grid, layer: usize, request: &FeatureRequest) -> Result<FeatureMap> {
        let norm = self.norm.as_ref().filter(|_| request.norm);
        let tokens = match norm {
            Some(norm) => norm.forward(tokens)?,
            None => tokens.clone(),
        };
        let prefix = tokens.dim(1)? - grid.cells();
        Ok(FeatureMap {
            tokens: tokens.narrow(1, prefix, grid.cells())?.contiguous()?,
            prefix: if request.prefix && prefix > 0 {
                Some(tokens.narrow(1, 0, prefix)?.contiguous()?)
            } else {
                None
            },
            grid,
            layer,
            normed: norm.is_some(),
        })
    }
}
