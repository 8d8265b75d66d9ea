//! A vision transformer behind the encoder trait.

use std::sync::{Arc, PoisonError, RwLock};

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::{Layout, Weights};
use zoo_core::{
    Cost, Differentiable, Encoder, EncoderDescriptor, Error, FeatureMap, FeatureRequest, LayerInfo,
    PrefixToken, Resolution, Result, Spec,
};

use super::config::{ViTAct, ViTConfig};
use super::trunk::Trunk;
use crate::attention::SelfAttention;
use crate::autograd::{self, Parameters};
use crate::pos_embed::PosMode;

/// A vision transformer encoder; what differs between families is its [`ViTConfig`] and its [`Layout`]s.
pub struct ViT {
    config: ViTConfig,
    descriptor: EncoderDescriptor,
    dtype: DType,
    device: Device,
    layouts: &'static [Layout],
    parameters: Parameters,
    /// Without gradient graph. Assembled anew after a parameter was replaced.
    trunk: RwLock<Option<Arc<Trunk>>>,
}

impl ViT {
    /// Opens an encoder: `layouts` says where the tensors of the canonical names stand in published files.
    ///
    /// # Errors
    /// Those of [`Weights::params`], [`zoo_core::weights::Params::get`] and [`zoo_core::weights::Params::finish`].
    pub fn open(
        spec: &Spec,
        config: ViTConfig,
        layouts: &'static [Layout],
        weights: &Weights,
        device: &Device,
    ) -> Result<Self> {
        let params = weights.params(layouts, device)?;
        let trunk = Trunk::load(&params, &config)?;
        let loaded = params.finish()?;
        let descriptor = descriptor(spec, &config, loaded.parameters);
        let parameters = Parameters::new(loaded);
        let trunk = parameters.is_empty().then(|| Arc::new(trunk));
        Ok(Self {
            config,
            descriptor,
            dtype: weights.dtype(),
            device: device.clone(),
            layouts,
            parameters,
            trunk: RwLock::new(trunk),
        })
    }

    /// The trunk made of the parameters, of which those in `tracked` take part in the gradient graph.
    fn assemble(&self, tracked: &[String]) -> Result<Trunk> {
        let params = self.parameters.weights(self.dtype, tracked).params(self.layouts, &self.device)?;
        Trunk::load(&params, &self.config)
    }

    fn trunk(&self) -> Result<Arc<Trunk>> {
        if let Some(trunk) = &*self.trunk.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(trunk.clone());
        }
        let trunk = Arc::new(self.assemble(&[])?);
        *self.trunk.write().unwrap_or_else(PoisonError::into_inner) = Some(trunk.clone());
        Ok(trunk)
    }

    /// Refuses what the descriptor does not promise.
    fn check(&self, pixels: &Tensor) -> Result<()> {
        let id = &self.descriptor.id;
        match pixels.dims() {
            [_, 3, height, width] => self.descriptor.grid(0, *height, *width).map(|_| ())?,
            dims => return Err(Error::invalid(format!("{id}: pixels must be [B, 3, H, W], got {dims:?}"))),
        }
        if !pixels.dtype().is_float() {
            let dtype = pixels.dtype();
            return Err(Error::invalid(format!("{id}: pixels must be normalised floats, got {dtype:?}")));
        }
        Ok(())
    }
}

fn descriptor(spec: &Spec, config: &ViTConfig, parameters: u64) -> EncoderDescriptor {
    let layer = LayerInfo { channels: config.embed_dim, stride: config.patch_size };
    let class = config.style.class_token.then_some(PrefixToken::Cls);
    EncoderDescriptor {
        id: spec.id.clone(),
        layers: vec![layer; config.depth],
        prefix: class
            .into_iter()
            .chain(std::iter::repeat_n(PrefixToken::Register, config.style.registers))
            .collect(),
        final_norm: config.style.final_norm,
        native: config.image_size,
        resolution: match config.style.pos_mode {
            PosMode::Native => Resolution::Fixed,
            _ => Resolution::AtLeast(config.patch_size),
        },
        parameters,
        vjp: true,
    }
}

impl Encoder for ViT {
    fn descriptor(&self) -> &EncoderDescriptor {
        &self.descriptor
    }

    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        self.check(pixels)?;
        self.trunk()?.forward(&pixels.detach(), request)
    }

    /// Patch embedding and all blocks. A matrix product of `m × k` by `k × n` counts `m k n`; norms, biases and
    /// activations are not counted.
    fn cost(&self, batch: usize, height: usize, width: usize) -> Cost {
        let c = &self.config;
        let patches = (height / c.patch_size) * (width / c.patch_size);
        let tokens = patches + c.prefix_tokens();
        let gated = c.style.act == ViTAct::Swiglu;
        let embed = patches * 3 * c.patch_size * c.patch_size * c.embed_dim;
        let attention = tokens * 4 * c.embed_dim * c.embed_dim + 2 * tokens * tokens * c.embed_dim;
        let mlp = tokens * c.embed_dim * c.mlp_dim * if gated { 3 } else { 2 };
        let macs = (batch * (embed + c.depth * (attention + mlp))) as u64;

        // Residual and normed tokens beside the widest stage of either branch.
        let stage_attention = 6 * c.embed_dim;
        let stage_mlp = if gated { 4 } else { 2 } * c.mlp_dim;
        let elements = batch * tokens * (2 * c.embed_dim + stage_attention.max(stage_mlp));
        let scores = 2 * SelfAttention::score_bytes(batch, c.num_heads, tokens);
        Cost { macs, activation_bytes: (elements * self.dtype.size_in_bytes()) as u64 + scores }
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl Differentiable for ViT {
    fn parameter_names(&self) -> Vec<String> {
        self.parameters.names()
    }

    fn parameter(&self, name: &str) -> Result<Tensor> {
        self.parameters.get(name)
    }

    fn set_parameter(&self, name: &str, value: &Tensor) -> Result<()> {
        self.parameters.set(name, value)?;
        *self.trunk.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn vjp(
        &self,
        pixels: &Tensor,
        request: &FeatureRequest,
        cotangents: &[Tensor],
        parameters: &[String],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        self.check(pixels)?;
        let wanted = self.parameters.vars(parameters)?;
        let trunk = if wanted.is_empty() { self.trunk()? } else { Arc::new(self.assemble(parameters)?) };
        autograd::vjp(pixels, cotangents, &wanted, |pixels| trunk.forward(pixels, request))
    }
}
