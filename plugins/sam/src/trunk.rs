//! The network: pixels in, maps of chosen blocks and of the neck out.

use candle_core::{DType, Tensor};
use zoo_core::weights::{Init, Params};
use zoo_core::{
    Cost, EncoderDescriptor, FeatureMap, FeatureRequest, Grid, LayerInfo, Resolution, Result, step,
};
use zoo_nn::attention::SelfAttention;
use zoo_nn::encoder::Trunk;
use zoo_nn::patch_embed::{PatchEmbed, Surroundings};
use zoo_nn::pos_embed::{PosEmbed, PosMode};
use zoo_nn::windows::Windows;

use crate::block::Block;
use crate::config::Config;
use crate::neck::Neck;

pub(crate) struct Sam {
    patch_embed: PatchEmbed,
    positions: PosEmbed,
    blocks: Vec<Block>,
    neck: Option<Neck>,
}

impl Sam {
    fn layers(&self) -> usize {
        self.blocks.len() + usize::from(self.neck.is_some())
    }
}

impl Trunk for Sam {
    type Config = Config;

    fn load(params: &Params, config: &Config) -> Result<Self> {
        let (width, native) = (config.embed_dim, config.native_grid());
        let table =
            params.get("pos_embed", (1, native.h, native.w, width), Init::Normal { mean: 0.0, std: 0.02 })?;
        let table = table.reshape((1, native.cells(), width))?;
        let neck = config.neck.map(|channels| Neck::load(params, width, channels, config.norm_eps));
        Ok(Self {
            patch_embed: PatchEmbed::load(&params.pp("patch_embed"), width, config.patch_size, true)?,
            positions: PosEmbed::new(table, 0, native, PosMode::BicubicAntialias),
            blocks: (0..config.depth).map(|i| Block::load(params, config, i)).collect::<Result<_>>()?,
            neck: neck.transpose()?,
        })
    }

    /// Blocks after the last requested layer do not run.
    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        let wanted = request.layers.resolve(self.layers())?;
        let last = wanted.iter().copied().max().unwrap_or(0);
        let grid = self.patch_embed.grid(pixels)?;
        let positions = self.positions.patches(grid)?;
        let mut x =
            self.patch_embed.forward(pixels, Surroundings { prefix: None, positions: Some(&positions) })?;
        let mut seen = Vec::with_capacity(last + 1);
        for (layer, block) in self.blocks.iter().enumerate().take(last + 1) {
            step(layer, last + 1)?;
            x = block.forward(&x, grid)?;
            // Maps are large; only those that are wanted stay.
            seen.push(wanted.contains(&layer).then(|| x.clone()));
        }
        if let Some(neck) = self.neck.as_ref().filter(|_| last == self.blocks.len()) {
            step(last, last + 1)?;
            seen.push(Some(neck.forward(&x, grid)?));
        }
        let map = |layer: usize| {
            let tokens = seen[layer].clone()?;
            Some(FeatureMap { tokens, prefix: None, grid, layer, normed: false })
        };
        Ok(wanted.into_iter().filter_map(map).collect())
    }

    fn descriptor(config: &Config, id: &str, parameters: u64) -> EncoderDescriptor {
        let layer = |channels| LayerInfo { channels, stride: config.patch_size };
        let blocks = std::iter::repeat_n(layer(config.embed_dim), config.depth);
        EncoderDescriptor {
            id: id.to_owned(),
            layers: blocks.chain(config.neck.map(layer)).collect(),
            prefix: Vec::new(),
            final_norm: false,
            native: config.image_size,
            resolution: Resolution::AtLeast(config.patch_size),
            parameters,
            vjp: true,
            options: Vec::new(),
        }
    }

    /// Products of the patch embedding, of all blocks with what fills their last windows, and of the neck. Norms, biases
    /// and activations are not counted.
    fn cost(config: &Config, dtype: DType, batch: usize, height: usize, width: usize) -> Cost {
        let (c, patch) = (config.embed_dim, config.patch_size);
        let grid = Grid { h: height / patch, w: width / patch };
        let cells = batch * grid.cells();
        let mut macs = cells * 3 * patch * patch * c;
        let mut held = 0;
        for block in 0..config.depth {
            // Sequences, and the cells of each.
            let (count, tokens, sides) = match config.window(block) {
                Some(side) => (batch * Windows { grid, side }.count().cells(), side * side, 2 * side),
                None => (batch, grid.cells(), grid.h + grid.w),
            };
            macs += count * tokens * c * (4 * c + 2 * tokens + sides) + 2 * cells * c * config.mlp_dim;
            let scores = count * tokens * config.num_heads * 2 * sides * DType::F32.size_in_bytes();
            let own = 6 * count * tokens * c * dtype.size_in_bytes();
            held = held.max(own + scores + SelfAttention::held(count, config.num_heads, tokens, c, dtype));
        }
        macs += config.neck.map_or(0, |channels| cells * channels * (c + 9 * channels));
        let inner = cells * (3 * c + config.mlp_dim) * dtype.size_in_bytes();
        Cost { macs: macs as u64, activation_bytes: held.max(inner) as u64 }
    }
}
