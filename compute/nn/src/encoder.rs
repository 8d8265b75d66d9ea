//! From a network to an encoder: checks, parameters and gradients, the same for every trunk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use candle_core::{DType, Device, Tensor, Var};
use zoo_core::weights::{Layout, Params, Weights};
use zoo_core::{
    CallOptions, Cost, Differentiable, Embedded, EmbeddingInfo, Encoder, EncoderDescriptor, Error,
    FeatureMap, FeatureRequest, Result, Trainable,
};

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

    /// As [`Encoder::forward_with`], with options that the descriptor lists, for a trunk that has some.
    ///
    /// # Errors
    /// As [`Trunk::forward`].
    fn forward_with(
        &self,
        pixels: &Tensor,
        request: &FeatureRequest,
        options: &CallOptions,
    ) -> Result<Vec<FeatureMap>> {
        let _ = options;
        self.forward(pixels, request)
    }

    /// The vector that [`Trunk::embed`] gives, where it gives one.
    fn embedding(config: &Self::Config) -> Option<EmbeddingInfo> {
        let _ = config;
        None
    }

    /// As [`Encoder::embed`] without options, for a trunk that has an [`Trunk::embedding`] and was loaded with
    /// [`Params::vectors`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] for every other trunk; as [`Trunk::forward`].
    fn embed(&self, pixels: &Tensor, beside: Option<&FeatureRequest>) -> Result<Embedded> {
        let _ = (pixels, beside);
        Err(Error::unsupported("this encoder", "one vector for each image"))
    }

    /// What the encoder of this id says of itself.
    fn descriptor(config: &Self::Config, id: &str, parameters: u64) -> EncoderDescriptor;

    /// As [`Encoder::cost`] of weights of `dtype`, for the whole batch at once.
    fn cost(config: &Self::Config, dtype: DType, batch: usize, height: usize, width: usize) -> Cost;
}

/// A [`Trunk`] behind the encoder trait.
pub struct TrunkEncoder<T: Trunk> {
    config: T::Config,
    descriptor: EncoderDescriptor,
    embedding: Option<EmbeddingInfo>,
    dtype: DType,
    /// Whether it was opened with what makes one vector of an image.
    vectors: bool,
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
        let (trunk, vectors) = (T::load(&params, &config)?, params.vectors());
        let loaded = params.finish()?;
        let descriptor = T::descriptor(&config, id, loaded.parameters);
        let embedding = T::embedding(&config);
        let parameters = Parameters::new(loaded);
        let trunk = parameters.is_empty().then(|| Arc::new(trunk));
        Ok(Self {
            config,
            descriptor,
            embedding,
            dtype: weights.dtype(),
            vectors,
            device: device.clone(),
            layouts,
            parameters,
            trunk: RwLock::new(trunk),
        })
    }

    /// The trunk made of the parameters, of which those in `tracked` take part in the gradient graph.
    fn assemble(&self, tracked: &[String]) -> Result<T> {
        let weights = self.parameters.weights(self.dtype, tracked).vectors(self.vectors);
        let params = weights.params(self.layouts, &self.device)?;
        T::load(&params, &self.config)
    }

    fn trunk(&self) -> Result<Arc<T>> {
        if let Some(trunk) = &*self.trunk.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(trunk.clone());
        }
        // Assembled while nobody can replace a parameter: what is kept is what the parameters are.
        let mut kept = self.trunk.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(trunk) = &*kept {
            return Ok(trunk.clone());
        }
        let trunk = Arc::new(self.assemble(&[])?);
        *kept = Some(trunk.clone());
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
        self.forward_with(pixels, request, &CallOptions::default())
    }

    fn forward_with(
        &self,
        pixels: &Tensor,
        request: &FeatureRequest,
        options: &CallOptions,
    ) -> Result<Vec<FeatureMap>> {
        self.check(pixels)?;
        options.check_on(&self.descriptor, pixels)?;
        let trunk = self.trunk()?;
        let (batch, _, height, width) = pixels.dims4()?;
        let (pixels, group) = (pixels.detach(), self.group(batch, height, width));
        pool::within(&self.device, || {
            groups::forward(&pixels, group, |images, first| {
                let options = options.rows(first, images.dim(0)?)?;
                trunk.forward_with(images, request, &options)
            })
        })
    }

    fn embedding(&self) -> Option<&EmbeddingInfo> {
        self.embedding.as_ref()
    }

    fn embed(
        &self,
        pixels: &Tensor,
        beside: Option<&FeatureRequest>,
        options: &CallOptions,
    ) -> Result<Embedded> {
        self.check(pixels)?;
        options.check_on(&self.descriptor, pixels)?;
        let id = &self.descriptor.id;
        match &self.embedding {
            None => return Err(Error::unsupported(id, "one vector for each image")),
            Some(_) if !self.vectors => {
                return Err(Error::unsupported(id, "vectors: it was opened without what makes them"));
            }
            Some(_) => {}
        }
        let trunk = self.trunk()?;
        let (batch, _, height, width) = pixels.dims4()?;
        let (pixels, group) = (pixels.detach(), self.group(batch, height, width));
        pool::within(&self.device, || {
            let vectors = RefCell::new(Vec::new());
            let maps = groups::forward(&pixels, group, |images, _| {
                let seen = trunk.embed(images, beside)?;
                vectors.borrow_mut().push(seen.vectors);
                Ok(seen.maps)
            })?;
            Ok(Embedded { vectors: Tensor::cat(&vectors.into_inner(), 0)?, maps })
        })
    }

    fn cost(&self, batch: usize, height: usize, width: usize) -> Cost {
        let held = self.cost_at_once(self.group(batch, height, width), height, width).activation_bytes;
        Cost { activation_bytes: held, ..self.cost_at_once(batch, height, width) }
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }

    fn trainable(&self) -> Option<&dyn Trainable> {
        (!self.parameters.is_empty()).then_some(self)
    }
}

impl<T: Trunk> Trainable for TrunkEncoder<T> {
    fn variables(&self) -> &BTreeMap<String, Var> {
        self.parameters.variables()
    }

    fn replace(&self, values: &BTreeMap<String, Tensor>) -> Result<()> {
        self.parameters.replace(values)?;
        *self.trunk.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
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
        let mut kept = self.trunk.write().unwrap_or_else(PoisonError::into_inner);
        self.parameters.set(name, value)?;
        *kept = None;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use zoo_core::weights::{Init, TensorSource};
    use zoo_core::{Grid, LayerInfo, Resolution};

    use super::*;

    static LAYOUTS: [Layout; 1] = [Layout {
        name: "probe",
        prefixes: &[""],
        marker: "w",
        map: |name| TensorSource::key(name),
        ignored: &[],
    }];

    /// Shows its parameter. While it is read, somebody else may replace it.
    struct Probe(Tensor);

    struct Meanwhile {
        reads: Mutex<usize>,
        read: Sender<()>,
        replaced: Mutex<Receiver<()>>,
    }

    impl Trunk for Probe {
        type Config = Meanwhile;

        fn load(params: &Params, config: &Meanwhile) -> Result<Self> {
            let value = params.get("w", 1, Init::Const(0.0))?.copy()?;
            let mut reads = config.reads.lock().unwrap();
            *reads += 1;
            // The second time is that of `forward`: from here on it is too late for this trunk.
            if *reads == 2 {
                config.read.send(()).unwrap();
                // Nobody comes as long as the trunk is being assembled; whoever does makes it old.
                let _ = config.replaced.lock().unwrap().recv_timeout(Duration::from_millis(300));
            }
            Ok(Self(value))
        }

        fn forward(&self, _: &Tensor, _: &FeatureRequest) -> Result<Vec<FeatureMap>> {
            let tokens = self.0.reshape((1, 1, 1))?;
            Ok(vec![FeatureMap { tokens, prefix: None, grid: Grid::square(1), layer: 0, normed: false }])
        }

        fn descriptor(_: &Meanwhile, id: &str, parameters: u64) -> EncoderDescriptor {
            EncoderDescriptor {
                id: id.to_owned(),
                layers: vec![LayerInfo { channels: 1, stride: 1 }],
                prefix: Vec::new(),
                final_norm: false,
                native: 1,
                resolution: Resolution::Fixed,
                parameters,
                vjp: true,
                options: Vec::new(),
            }
        }

        fn cost(_: &Meanwhile, _: DType, _: usize, _: usize, _: usize) -> Cost {
            Cost::default()
        }
    }

    #[test]
    fn a_parameter_that_is_replaced_while_the_trunk_is_assembled_counts() {
        let of = |value: f32| Tensor::new(&[value], &Device::Cpu).unwrap();
        let weights =
            Weights::tensors(BTreeMap::from([("w".to_owned(), of(1.0))]), DType::F32).trainable(true);
        let ((read, begun), (told, replaced)) = (channel(), channel());
        let config = Meanwhile { reads: Mutex::new(0), read, replaced: Mutex::new(replaced) };
        let encoder = TrunkEncoder::<Probe>::open("probe", config, &LAYOUTS, &weights, &Device::Cpu).unwrap();
        let shown = || {
            let pixels = Tensor::zeros((1, 3, 1, 1), DType::F32, &Device::Cpu).unwrap();
            let maps = encoder.forward(&pixels, &FeatureRequest::layer(0, false)).unwrap();
            maps[0].tokens.flatten_all().unwrap().to_vec1::<f32>().unwrap()[0]
        };
        let replaced = &encoder;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                begun.recv().unwrap();
                replaced.set_parameter("w", &of(2.0)).unwrap();
                let _ = told.send(());
            });
            shown();
        });
        assert_eq!(shown(), 2.0);
    }
}
