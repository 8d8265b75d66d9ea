//! The transformer itself: pixels in, tokens of chosen blocks out.

use std::sync::Arc;

use candle_core::Tensor;
use zoo_core::weights::{Init, Params};
use zoo_core::{Embedded, Error, FeatureMap, FeatureRequest, Grid, Result, step};

use super::block::{Block, BlockSize};
use super::config::ViTConfig;
use super::head::Head;
use crate::axial::AxialPositions;
use crate::norm::Norm;
use crate::patch_embed::{PatchEmbed, Surroundings};
use crate::pos_embed::PosEmbed;
use crate::recompute;

/// Weights of a vision transformer. Canonical names are timm's: `cls_token`, `reg_token`, `pos_embed`,
/// `patch_embed.proj`, `norm_pre`, `blocks.{i}.{norm1,attn.qkv,attn.proj,ls1.gamma,norm2,mlp.…,ls2.gamma}`,
/// `norm`; a gated network's are `mlp.w12` and `mlp.w3`. Where a style asks for them: `patch_embed.norm`,
/// `attn.{norm,q_norm,k_norm}`, `mlp.norm`, and `prefix_token` in place of the class and register tokens; those of a
/// [`ViTPool`](super::ViTPool) are `attn_pool.{latent,q,kv,proj,norm,mlp.fc1,mlp.fc2}` and `head`.
pub struct VisionTransformer {
    patch_embed: PatchEmbed,
    /// Class and register tokens `[1, P, D]`, with the position of the former.
    prefix: Option<Tensor>,
    positions: Option<PosEmbed>,
    patch_norm: Option<Norm>,
    pre_norm: Option<Norm>,
    rope: Option<AxialPositions>,
    blocks: Vec<Arc<Block>>,
    norm: Option<Norm>,
    /// What makes one vector of an image, where that was wanted.
    head: Option<Head>,
}

impl VisionTransformer {
    pub(super) fn read(params: &Params, config: &ViTConfig) -> Result<Self> {
        let (width, style) = (config.embed_dim, &config.style);
        let token = Init::Normal { mean: 0.0, std: 0.02 };
        let norm = |name: &str, present: bool| -> Result<Option<Norm>> {
            present
                .then(|| Norm::load(style.norm.into(), &params.pp(name), width, style.norm_eps))
                .transpose()
        };
        let tokens = |name: &str, count: usize| -> Result<Option<Tensor>> {
            (count > 0).then(|| params.get(name, (1, count, width), token)).transpose()
        };
        let (class, registers) = match style.joined_prefix {
            true => (None, tokens("prefix_token", config.prefix_tokens())?),
            false => (tokens("cls_token", style.class_token.into())?, tokens("reg_token", style.registers)?),
        };
        let (grid, prefix) = (config.table_grid(), usize::from(style.class_pos));
        let positions = match style.positions {
            true => {
                let table = params.get("pos_embed", (1, prefix + grid.cells(), width), token)?;
                Some(PosEmbed::new(table, prefix, grid, style.pos_mode))
            }
            false => None,
        };
        let embed = params.pp("patch_embed");
        let patch_embed = match style.patch_matrix {
            true => PatchEmbed::load_matrix(&embed, width, config.patch_size, style.patch_bias)?,
            false => PatchEmbed::load(&embed, width, config.patch_size, style.patch_bias)?,
        };
        let patch_norm = norm("patch_embed.norm", style.patch_norm)?;
        let pre_norm = norm("norm_pre", style.pre_norm)?;
        let size = BlockSize { width, heads: config.num_heads, mlp: config.mlp_dim };
        let blocks = (0..config.depth)
            .map(|i| Ok(Arc::new(Block::load(&params.pp("blocks").pp(i), size, style)?)))
            .collect::<Result<_>>()?;
        let norm = norm("norm", style.final_norm)?;
        let rope = style.rope.map(|rope| {
            let head = width / config.num_heads;
            AxialPositions::new(rope, head, config.prefix_tokens(), params.device())
        });
        let position = positions.as_ref().map(PosEmbed::prefix).transpose()?.flatten();
        let class = match (class, position) {
            (Some(class), Some(position)) => Some((class + position)?),
            (class, _) => class,
        };
        let prefix = class.into_iter().chain(registers).collect::<Vec<_>>();
        let prefix = if prefix.is_empty() { None } else { Some(Tensor::cat(&prefix, 1)?) };
        let head = params.vectors().then(|| Head::load(params, config)).transpose()?.flatten();
        Ok(Self { patch_embed, prefix, positions, patch_norm, pre_norm, rope, blocks, norm, head })
    }

    /// Tokens `[B, P + N, D]` before the first block, and the grid of the last `N`.
    fn embed(&self, pixels: &Tensor) -> Result<(Tensor, Grid)> {
        let grid = self.patch_embed.grid(pixels)?;
        let positions = self.positions.as_ref().map(|table| table.patches(grid)).transpose()?;
        let surroundings = Surroundings { prefix: self.prefix.as_ref(), positions: positions.as_ref() };
        let tokens = match &self.patch_norm {
            None => self.patch_embed.forward(pixels, surroundings)?,
            Some(norm) => {
                let patches = self.patch_embed.forward(pixels, Surroundings::default())?;
                surroundings.around(norm.forward(&patches)?)?
            }
        };
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
        Ok(self.run(pixels, Some(request), &wanted, last)?.1)
    }

    /// One vector for each of `pixels` `[B, 3, H, W]`, and the maps of `beside`.
    pub(super) fn vectors(&self, pixels: &Tensor, beside: Option<&FeatureRequest>) -> Result<Embedded> {
        let head = self.head.as_ref().ok_or_else(|| Error::Internal("a trunk without a head".to_owned()))?;
        let wanted = match beside {
            Some(request) => request.layers.resolve(self.blocks.len())?,
            None => Vec::new(),
        };
        let (tokens, maps) = self.run(pixels, beside, &wanted, self.blocks.len().saturating_sub(1))?;
        let prefix = self.prefix.as_ref().map_or(Ok(0), |prefix| prefix.dim(1))?;
        Ok(Embedded { vectors: head.forward(self.norm.as_ref(), &tokens, prefix)?, maps })
    }

    /// Tokens after block `last`, and on the way there the maps of `wanted` in the form of `request`.
    fn run(
        &self,
        pixels: &Tensor,
        request: Option<&FeatureRequest>,
        wanted: &[usize],
        last: usize,
    ) -> Result<(Tensor, Vec<FeatureMap>)> {
        let (mut tokens, grid) = self.embed(pixels)?;
        let turns = self.rope.as_ref().map(|rope| rope.turns(grid)).transpose()?;
        let mut maps: Vec<Option<FeatureMap>> = vec![None; wanted.len()];
        for (layer, block) in self.blocks.iter().enumerate().take(last + 1) {
            step(layer, last + 1)?;
            let (block, turns) = (block.clone(), turns.clone());
            tokens = recompute::block(&[&tokens], move |x| block.forward(&x[0], turns.as_deref()))?;
            let Some(request) = request.filter(|_| wanted.contains(&layer)) else { continue };
            let map = self.map(&tokens, grid, layer, request)?;
            for (slot, _) in maps.iter_mut().zip(wanted).filter(|(_, w)| **w == layer) {
                *slot = Some(map.clone());
            }
        }
        Ok((tokens, maps.into_iter().flatten().collect()))
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
