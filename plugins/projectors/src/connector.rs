//! What all projectors have in common.

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::{Init, Layout, Loaded, Params, TensorSource, Weights};
use zoo_core::{
    Connector, ConnectorDescriptor, ConnectorInput, ConnectorInputs, Error, Fused, Grid, ImageBlock, Result,
    Spec, Trainable,
};
use zoo_nn::pool;

use crate::arch::Arch;
use crate::c_abstractor::{CAbstractor, Downsampler};
use crate::mlp::{Identity, Mlp, SeMlp};
use crate::resampler::Resampler;

/// Tokens `[B, N, C]` of all encoders, side by side on channels, to `[B, N', H]`.
pub trait Net: Send + Sync {
    /// The tokens of the language model's width.
    fn forward(&self, tokens: &Tensor) -> Result<Tensor>;
}

/// A file of connector weights, or a whole language model around them.
fn layouts(architecture: &str) -> Vec<Layout> {
    // One key that must be there tells with which prefix the file spells its names.
    let marker = match architecture {
        "linear" => "mm_projector.weight",
        "mlp_gelu" => "mm_projector.0.weight",
        "se_mlp" => "mm_projector.se.0.weight",
        "resampler" => "mm_projector.query",
        "identity" => "image_newline",
        _ => "mm_projector.readout.0.weight",
    };
    let mut layouts = vec![Layout {
        name: "cambrian",
        prefixes: &["model.", ""],
        marker,
        map: |name| TensorSource::key(name),
        ignored: &[
            "embed_tokens.*",
            "layers.*",
            "norm.*",
            "lm_head.*",
            "vision_tower.*",
            "vision_tower_aux_list.*",
        ],
    }];
    if architecture == "mlp_gelu" {
        layouts.push(TRANSFORMERS);
    }
    layouts
}

/// LLaVA as transformers publishes it: two layers with names instead of numbers.
const TRANSFORMERS: Layout = Layout {
    name: "transformers",
    prefixes: &["", "model."],
    marker: "multi_modal_projector.linear_1.weight",
    map: |name| {
        let name = name.replace("mm_projector.0.", "multi_modal_projector.linear_1.");
        TensorSource::key(name.replace("mm_projector.2.", "multi_modal_projector.linear_2."))
    },
    ignored: &["language_model.*", "vision_tower.*", "lm_head.*"],
};

/// A connector around a [`Net`].
pub struct Projector {
    descriptor: ConnectorDescriptor,
    dtype: DType,
    net: Box<dyn Net>,
    unpad: bool,
    newline: Option<Tensor>,
    loaded: Loaded,
}

impl Projector {
    /// Reads a connector of any of this crate's architectures.
    ///
    /// # Errors
    /// [`Error::Arch`] for numbers that contradict one another, [`Error::Weights`] for tensors that do not fit
    /// them.
    pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Self> {
        let arch = Arch::read(spec)?;
        let (net, newline, loaded) = if spec.architecture == "identity" && !arch.newline {
            // Nothing is read: any file would do, and none is needed.
            (Box::new(Identity) as Box<dyn Net>, None, Loaded::default())
        } else {
            let p = weights.params(&layouts(&spec.architecture), device)?;
            let net = network(spec, &arch, &p.pp("mm_projector"))?;
            let init = Init::Normal { mean: 0.0, std: 1.0 / (arch.output as f64).sqrt() };
            let newline = arch.newline.then(|| p.get("image_newline", arch.output, init)).transpose()?;
            (net, newline, p.finish()?)
        };
        let input = |&channels: &usize| ConnectorInput { channels, tokens: arch.token_len };
        let descriptor = ConnectorDescriptor {
            id: spec.id.clone(),
            inputs: arch.inputs.iter().map(input).collect(),
            output: arch.output,
            side: side(&spec.architecture, &arch),
            attends: false,
            refine_after: Vec::new(),
            parameters: loaded.parameters,
        };
        Ok(Self { descriptor, dtype: weights.dtype(), net, unpad: arch.unpad, newline, loaded })
    }
}

fn network(spec: &Spec, arch: &Arch, p: &Params) -> Result<Box<dyn Net>> {
    Ok(match spec.architecture.as_str() {
        "linear" => Box::new(Mlp::load_one(p, arch)?),
        "mlp_gelu" => Box::new(Mlp::load(p, arch)?),
        "identity" => Box::new(Identity),
        "se_mlp" => Box::new(SeMlp::load(p, arch)?),
        "c_abstractor_released" => Box::new(Downsampler::load(p, arch)?),
        "c_abstractor" => Box::new(CAbstractor::load(p, arch)?),
        "resampler" => Box::new(Resampler::load(p, arch)?),
        other => return Err(Error::unsupported(&spec.id, format!("architecture `{other}`"))),
    })
}

/// Side of the grid that comes out, if the numbers alone tell.
fn side(architecture: &str, arch: &Arch) -> Option<usize> {
    let side = arch.image_token_len.or(arch.token_len)?.isqrt();
    Some(if architecture == "c_abstractor_released" { side.div_ceil(2) } else { side })
}

impl Connector for Projector {
    fn descriptor(&self) -> &ConnectorDescriptor {
        &self.descriptor
    }

    fn trainable(&self) -> Option<&dyn Trainable> {
        self.loaded.trainable()
    }

    fn forward(&self, inputs: &ConnectorInputs) -> Result<Fused> {
        inputs.check(&self.descriptor)?;
        let counts: Vec<usize> = inputs.features.iter().map(|f| f.dim(1)).collect::<Result<_, _>>()?;
        if counts.iter().any(|n| *n != counts[0]) {
            return Err(Error::invalid(format!(
                "{}: the encoders give {counts:?} tokens; side by side on channels they must be equally many",
                self.descriptor.id
            )));
        }
        Grid::of_tokens(counts[0])?;
        let features = inputs.features.iter().map(|f| f.to_dtype(self.dtype));
        let tokens = Tensor::cat(&features.collect::<Result<Vec<_>, _>>()?, 2)?;
        let tokens = pool::within(tokens.device(), || self.net.forward(&tokens))?;
        let grid = Grid::of_tokens(tokens.dim(1)?)?;
        let image_sizes = inputs.image_sizes.clone();
        Ok(Fused { tokens, grid, attention: Vec::new(), memory: Vec::new(), image_sizes })
    }

    fn block(&self, fused: &Fused, row: usize) -> Result<ImageBlock> {
        let block =
            if self.unpad { ImageBlock::unpadded(fused, row)? } else { ImageBlock::plain(fused, row)? };
        match &self.newline {
            Some(newline) => block.with_newline(newline),
            None => Ok(block),
        }
    }
}
