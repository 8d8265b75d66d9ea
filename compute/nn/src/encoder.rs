//! From a network to an encoder: checks, parameters and gradients, the same for every trunk.

use std::sync::{Arc, PoisonError, RwLock};

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::{Layout, Params, Weights};
use zoo_core::{Cost, Differentiable, Encoder, EncoderDescriptor, Error, FeatureMap, FeatureRequest, Result};

use crate::autograd::{self, Parameters};
use crate::{groups, pool};

/// A network that makes feature maps of pixels.
pub trait Trunk: Sized + Send + Sync {
    /// Its numbers.
    type Config: Send + Sync;

    /// Reads the network.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    fn load(params: &Params, config: &Self::Config) -> Result<Self>;

    /// As [`Encoder::forward`], for pixels that [`EncoderDescriptor::grid`] accepts. Differentiable.
    ///
    /// # Errors
    /// A layer that does not exist; a device that refused.
    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>>;

    /// What the encoder of this id says of itself.
    fn descriptor(config: &Self::Config, id: &str, parameters: u64) -> EncoderDescriptor;

    /// As [`Encoder::cost`] of weights of `dtype`, for the whole batch at once.
    fn cost(config: &Self::Config, dtype: DType, batch: usize, height: usize, width: usize) -> Cost;
}

/// A [`Trunk`] behind the encoder trait.
pub struct TrunkEncoder<T: Trunk> {
    config: T::Config,
    descriptor: EncoderDescriptor,
    dtype: DType,
    device: Device,
    layouts: &'static [Layout],
    parameters: Parameters,
    /// Without gradient graph. Assembled anew after a parameter was replaced.
    trunk: RwLock<Option<Arc<T>>>,
}

impl<T: Trunk> TrunkEncoder<T> {
    /// Opens the encoder `id`: `layouts` says where the tensors of the canonical names stand in published files.
    ///
    /// # Errors
    /// Those of [`Weights::params`], [`Params::get`] and [`Params::finish`].
    pub fn open(
        id: &str,
        config: T::Config,
        layouts: &'static [Layout],
        weights: &Weights,
        device: &Device,
    ) -> Result<Self> {
        let params = weights.params(layouts, device)?;
        let trunk = T::load(&params, &config)?;
        let loaded = params.finish()?;
        let descriptor = T::descriptor(&config, id, loaded.parameters);
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
    fn assemble(&self, tracked: &[String]) -> Result<T> {
        let params = self.parameters.weights(self.dtype, tracked).params(self.layouts, &self.device)?;
        T::load(&params, &self.config)
    }

    fn trunk(&self) -> Result<Arc<T>> {
        if let Some(trunk) = &*self.trunk.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(trunk.clone());
        }
        let trunk = Arc::new(self.assemble(&[])?);
        *self.trunk.write().unwrap_or_else(PoisonError::into_inner) = Some(trunk.clone());
        Ok(trunk)
    }

    fn cost_at_once(&self, batch: usize, height: usize, width: usize) -> Cost {
        T::cost(&self.config, self.dtype, batch, height, width)
    }

    /// Images that go through the trunk at once: a few on a CPU, all of them on other devices, which want work.
    fn group(&self, batch: usize, height: usize, width: usize) -> usize {
        if !self.device.is_cpu() {
            return batch;
        }
        groups::size(batch, self.cost_at_once(1, height, width).activation_bytes)
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

impl<T: Trunk> Encoder for TrunkEncoder<T> {
    fn descriptor(&self) -> &EncoderDescriptor {
        &self.descriptor
    }

    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        self.check(pixels)?;
        let trunk = self.trunk()?;
        let (batch, _, height, width) = pixels.dims4()?;
        let (pixels, group) = (pixels.detach(), self.group(batch, height, width));
        pool::within(&self.device, || {
            groups::forward(&pixels, group, |images| trunk.forward(images, request))
        })
    }

    fn cost(&self, batch: usize, height: usize, width: usize) -> Cost {
        let held = self.cost_at_once(self.group(batch, height, width), height, width).activation_bytes;
        Cost { activation_bytes: held, ..self.cost_at_once(batch, height, width) }
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl<T: Trunk> Differentiable for TrunkEncoder<T> {
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
