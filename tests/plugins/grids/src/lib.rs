//! Patches, each through a few layers of its own.

#![forbid(unsafe_code)]

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use zoo_core::weights::{Layout, Params, TensorSource, Weights};
use zoo_core::{
    Cost, Encoder, EncoderDescriptor, FeatureMap, FeatureRequest, LayerInfo, Resolution, Result, Spec,
};
use zoo_nn::activation::Activation;
use zoo_nn::encoder::{Trunk, TrunkEncoder};
use zoo_nn::linear::Residual;
use zoo_nn::mlp::{Mlp, MlpKind};
use zoo_nn::norm::LayerNorm;
use zoo_nn::patch_embed::{PatchEmbed, Surroundings};

/// The numbers of a registry row. Unknown keys are errors, so that typing mistakes are found.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arch {
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    image_size: usize,
}

/// How checkpoints of this family are published: one `Layout` for each way.
static LAYOUTS: [Layout; 1] = [Layout {
    name: "original",
    prefixes: &["", "model."],           // where the tower may stand in a larger file
    marker: "patch_embed.proj.weight",   // a key that only this layout has
    map: |name| TensorSource::key(name), // canonical name -> stored name
    ignored: &["head.*"],                // stored, and not needed
}];

struct Grids {
    embed: PatchEmbed,
    blocks: Vec<(LayerNorm, Mlp)>,
    norm: LayerNorm,
}

impl Trunk for Grids {
    type Config = Arch;

    fn load(params: &Params, arch: &Arch) -> Result<Self> {
        let width = arch.embed_dim;
        let block = |i| {
            let params = params.pp("blocks").pp(i);
            let mlp = MlpKind::Plain(Activation::GeluErf);
            Ok((
                LayerNorm::load(&params.pp("norm"), width, 1e-6)?,
                Mlp::load(&params.pp("mlp"), width, 4 * width, mlp)?,
            ))
        };
        Ok(Self {
            embed: PatchEmbed::load(&params.pp("patch_embed"), width, arch.patch_size, true)?,
            blocks: (0..arch.depth).map(block).collect::<Result<_>>()?,
            norm: LayerNorm::load(&params.pp("norm"), width, 1e-6)?,
        })
    }

    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        let wanted = request.layers.resolve(self.blocks.len())?;
        let grid = self.embed.grid(pixels)?;
        let mut x = self.embed.forward(pixels, Surroundings::default())?;
        let mut seen = Vec::new();
        for (layer, (norm, mlp)) in self.blocks.iter().enumerate() {
            zoo_core::step(layer, self.blocks.len())?; // the caller may stop here
            x = mlp.forward_normed(norm, &x, Some(Residual { shortcut: &x, scale: None }))?;
            seen.push(x.clone());
        }
        let map = |layer: usize| {
            let tokens = if request.norm { self.norm.forward(&seen[layer])? } else { seen[layer].clone() };
            Ok(FeatureMap { tokens, prefix: None, grid, layer, normed: request.norm })
        };
        wanted.into_iter().map(map).collect()
    }

    fn descriptor(arch: &Arch, id: &str, parameters: u64) -> EncoderDescriptor {
        let layer = LayerInfo { channels: arch.embed_dim, stride: arch.patch_size };
        EncoderDescriptor {
            id: id.to_owned(),
            layers: vec![layer; arch.depth],
            prefix: Vec::new(),
            final_norm: true,
            native: arch.image_size,
            resolution: Resolution::MultipleOf(arch.patch_size),
            parameters,
            vjp: true,
            options: Vec::new(),
        }
    }

    fn cost(arch: &Arch, dtype: DType, batch: usize, height: usize, width: usize) -> Cost {
        let (c, p) = (arch.embed_dim, arch.patch_size);
        let cells = batch * (height / p) * (width / p);
        let macs = cells * c * (3 * p * p + arch.depth * 8 * c);
        Cost { macs: macs as u64, activation_bytes: (cells * 6 * c * dtype.size_in_bytes()) as u64 }
    }
}

fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    Ok(Box::new(TrunkEncoder::<Grids>::open(&spec.id, spec.arch()?, &LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "my-grids",
    encoders: { "grids" => load },
}
