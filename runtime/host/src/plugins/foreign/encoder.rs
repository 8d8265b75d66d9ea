use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use abi_stable::std_types::RStr;
use candle_core::{Device, Tensor};
use zoo_abi::{NamedView, request};
use zoo_core::dlpack::{Lent, import_owned};
use zoo_core::sdk::failure::from_wire;
use zoo_core::sdk::wire::{
    EMBEDDING, EncoderReply, MapReply, OPTION, Tensors, VjpOptions, from_json, to_json,
};
use zoo_core::{
    CallOptions, Cost, Differentiable, Embedded, EmbeddingInfo, Encoder, EncoderDescriptor, Error,
    FeatureMap, FeatureRequest, Grid, Result,
};

use super::{Call, Foreign, Function};

pub(in super::super) struct ForeignEncoder {
    foreign: Foreign,
    descriptor: EncoderDescriptor,
    embedding: Option<EmbeddingInfo>,
    /// Shapes of the parameters whose gradients were asked for.
    shapes: Mutex<HashMap<String, Vec<usize>>>,
}

/// A request in the words of the wire, and what must come back.
struct Asked {
    layers: Vec<i32>,
    /// Grid of each layer.
    grids: Vec<Grid>,
    flags: u64,
    batch: usize,
    /// Whether there are norms and prefix tokens to be had of what was asked for.
    normed: bool,
    prefix: bool,
}

impl ForeignEncoder {
    pub fn new(foreign: Foreign) -> Result<Self> {
        let EncoderReply { descriptor, embedding } = foreign.describe(EncoderReply::faults)?;
        let encoder = Self { foreign, descriptor, embedding, shapes: Mutex::default() };
        // An older plugin lacks the functions; that is said when they are asked for.
        if encoder.descriptor.vjp && encoder.foreign.object.param_names().is_some() {
            encoder.names().map_err(|e| {
                encoder
                    .foreign
                    .broken(format!("its descriptor says `vjp: true`, but it has no gradients: {e}"))
            })?;
        }
        Ok(encoder)
    }

    fn names(&self) -> Result<Vec<String>> {
        let text = self.foreign.optional(self.foreign.object.param_names())?.into_result();
        from_json("names of parameters", text.map_err(|e| from_wire(&e))?.as_str())
    }

    /// What is asked of the plugin for `pixels`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what the descriptor does not promise: then the plugin is not asked.
    fn spell(&self, pixels: &Tensor, request: Option<&FeatureRequest>) -> Result<Asked> {
        let said = &self.descriptor;
        let layers = match request {
            Some(request) => request.layers.resolve(said.layers.len())?,
            None => Vec::new(),
        };
        let (batch, height, width) = match *pixels.dims() {
            [batch, 3, height, width] => (batch, height, width),
            ref dims => {
                return Err(Error::invalid(format!(
                    "{}: pixels must be [B, 3, H, W], got {dims:?}",
                    said.id
                )));
            }
        };
        let grids = layers.iter().map(|&layer| said.grid(layer, height, width)).collect::<Result<_>>()?;
        if layers.is_empty() {
            said.grid(0, height, width)?;
        }
        let (norm, prefix) = request.map_or((false, false), |request| (request.norm, request.prefix));
        let norm_flag = if norm { request::NORM } else { 0 };
        let prefix_flag = if prefix { request::PREFIX } else { 0 };
        Ok(Asked {
            layers: layers.into_iter().map(|l| l as i32).collect(),
            grids,
            flags: norm_flag | prefix_flag,
            batch,
            normed: norm && said.final_norm,
            prefix: prefix && !said.prefix.is_empty(),
        })
    }

    /// The i-th map, if it is what was asked for.
    fn map(&self, i: usize, map: &MapReply, asked: &Asked, tensors: &mut Tensors) -> Result<FeatureMap> {
        let (layer, grid) = (asked.layers[i], asked.grids[i]);
        let fault = |what: String| Err(self.foreign.broken(what));
        if i32::try_from(map.layer) != Ok(layer) {
            return fault(format!("layer {layer} was asked for, and layer {} came back", map.layer));
        }
        if map.grid != grid {
            return fault(format!(
                "the map of layer {layer} has a grid of {}; its stride and the size of the image make {grid}",
                map.grid
            ));
        }
        if map.normed != asked.normed {
            let (said, wanted) = if map.normed { ("normed", "not to be") } else { ("not normed", "to be") };
            return fault(format!(
                "the map of layer {layer} came back {said}, and was {wanted}: `final_norm` of its descriptor is {}",
                self.descriptor.final_norm
            ));
        }
        if map.prefix != asked.prefix {
            let promised = self.descriptor.prefix.len();
            return fault(if map.prefix {
                format!("prefix tokens of layer {layer} came back; its descriptor and the request have none")
            } else {
                format!("no prefix tokens of layer {layer} came back; its descriptor promises {promised}")
            });
        }
        let channels = self.descriptor.layers[map.layer].channels;
        let take = |tensors: &mut Tensors, name: &str, length: usize| {
            let tensor = tensors.take(name).map_err(|e| self.foreign.broken(e))?;
            self.foreign.expect(name, &tensor, &[asked.batch, length, channels])?;
            Ok::<_, Error>(tensor)
        };
        let tokens = take(tensors, &format!("tokens.{i}"), grid.cells())?;
        let length = self.descriptor.prefix.len();
        let prefix = map.prefix.then(|| take(tensors, &format!("prefix.{i}"), length)).transpose()?;
        Ok(FeatureMap { tokens, prefix, grid, layer: map.layer, normed: map.normed })
    }

    /// Asks for the maps of `request`, with `flags` more. The tensors that are no maps are left.
    fn look(
        &self,
        pixels: &Tensor,
        request: Option<&FeatureRequest>,
        flags: u64,
        options: &CallOptions,
    ) -> Result<(Vec<FeatureMap>, Tensors)> {
        let asked = self.spell(pixels, request)?;
        options.check_on(&self.descriptor, pixels)?;
        // A plugin of an older wire lists no options, so it is never given any.
        let values = if options.values().is_empty() { String::new() } else { to_json(options.values())? };
        let names: Vec<String> = options.tensors().keys().map(|name| format!("{OPTION}{name}")).collect();
        let mut inputs = vec![("pixels", pixels)];
        inputs.extend(names.iter().map(String::as_str).zip(options.tensors().values()));
        let flags = asked.flags | flags;
        let call = Call { inputs: &inputs, layers: &asked.layers, flags, options: &values };
        let (mut tensors, reply) = self.foreign.run(Function::Call, &call)?;
        let maps: Vec<MapReply> = self.foreign.reply("an encoder", &reply)?;
        if maps.len() != asked.layers.len() {
            let what =
                format!("{} feature maps came back, {} were asked for", maps.len(), asked.layers.len());
            return Err(self.foreign.broken(what));
        }
        let map = |(i, map)| self.map(i, map, &asked, &mut tensors);
        let maps = maps.iter().enumerate().map(map).collect::<Result<_>>()?;
        Ok((maps, tensors))
    }

    /// The shape of a parameter, asked for once.
    fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let known = self.shapes.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(shape) = known {
            return Ok(shape);
        }
        let shape = self.parameter(name)?.dims().to_vec();
        self.shapes.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), shape.clone());
        Ok(shape)
    }
}

impl Encoder for ForeignEncoder {
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
        Ok(self.look(pixels, Some(request), 0, options)?.0)
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
        // A plugin of an older wire makes none, and does not know the flag.
        let Some(said) = &self.embedding else {
            return Err(Error::unsupported(&self.descriptor.id, "one vector for each image"));
        };
        let (maps, mut tensors) = self.look(pixels, beside, request::EMBEDDING, options)?;
        let vectors = tensors.take(EMBEDDING).map_err(|e| self.foreign.broken(e))?;
        self.foreign.expect(EMBEDDING, &vectors, &[pixels.dim(0)?, said.width])?;
        Ok(Embedded { vectors, maps })
    }

    /// What the plugin says; nothing if it fails to.
    fn cost(&self, batch: usize, height: usize, width: usize) -> Cost {
        let dims = [batch as i64, height as i64, width as i64];
        match self.foreign.object.estimate(&dims).into_result() {
            Ok(zoo_abi::Cost { macs, activation_bytes }) => Cost { macs, activation_bytes },
            Err(e) => {
                tracing::warn!("{}: no cost: {}", self.descriptor.id, from_wire(&e));
                Cost::default()
            }
        }
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        self.descriptor.vjp.then_some(self)
    }
}

impl Differentiable for ForeignEncoder {
    fn parameter_names(&self) -> Vec<String> {
        self.names().unwrap_or_else(|e: Error| {
            tracing::warn!("{}: no parameters: {e}", self.descriptor.id);
            Vec::new()
        })
    }

    /// The value, in host memory.
    fn parameter(&self, name: &str) -> Result<Tensor> {
        let owned = self.foreign.optional(self.foreign.object.get_param(name))?.into_result();
        let owned = owned.map_err(|e| from_wire(&e))?;
        import_owned(&owned).map_err(|e| self.foreign.broken(format!("parameter `{name}`: {e}")))
    }

    fn set_parameter(&self, name: &str, value: &Tensor) -> Result<()> {
        let value = value.to_device(&Device::Cpu)?;
        let mut lent = Lent::new(&value)?;
        let view = NamedView { name: RStr::from_str(name), tensor: lent.view() };
        let set = self.foreign.optional(self.foreign.object.set_param(&view))?;
        set.into_result().map_err(|e| from_wire(&e))
    }

    fn vjp(
        &self,
        pixels: &Tensor,
        request: &FeatureRequest,
        cotangents: &[Tensor],
        parameters: &[String],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let asked = self.spell(pixels, Some(request))?;
        let options = to_json(&VjpOptions { parameters: parameters.to_vec() })?;
        let names: Vec<_> = (0..cotangents.len()).map(|i| format!("cotangent.{i}")).collect();
        let mut inputs = vec![("pixels", pixels)];
        inputs.extend(names.iter().map(String::as_str).zip(cotangents));
        let call = Call { inputs: &inputs, layers: &asked.layers, flags: asked.flags, options: &options };
        let (mut tensors, _) = self.foreign.run(Function::Vjp, &call)?;
        let gradient = tensors.take("pixels").map_err(|e| self.foreign.broken(e))?;
        self.foreign.expect("pixels", &gradient, pixels.dims())?;
        let gradients = tensors.list("parameter");
        if gradients.len() != parameters.len() {
            let what = format!("{} gradients for {} parameters", gradients.len(), parameters.len());
            return Err(self.foreign.broken(what));
        }
        for (name, gradient) in parameters.iter().zip(&gradients) {
            self.foreign.expect(&format!("gradient of `{name}`"), gradient, &self.shape(name)?)?;
        }
        Ok((gradient, gradients))
    }
}
