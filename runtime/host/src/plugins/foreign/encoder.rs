use abi_stable::std_types::RStr;
use candle_core::{Device, Tensor};
use zoo_abi::{NamedView, request};
use zoo_core::dlpack::{Lent, import_owned};
use zoo_core::sdk::failure::from_wire;
use zoo_core::sdk::wire::{MapReply, VjpOptions, from_json, to_json};
use zoo_core::{Cost, Differentiable, Encoder, EncoderDescriptor, Error, FeatureMap, FeatureRequest, Result};

use super::{Call, Foreign, Function};

pub(in super::super) struct ForeignEncoder {
    foreign: Foreign,
    descriptor: EncoderDescriptor,
}

impl ForeignEncoder {
    pub fn new(foreign: Foreign) -> Result<Self> {
        let descriptor = foreign.describe()?;
        Ok(Self { foreign, descriptor })
    }

    /// Layers by number, and flags.
    fn spell(&self, request: &FeatureRequest) -> Result<(Vec<i32>, u64)> {
        let layers = request.layers.resolve(self.descriptor.layers.len())?;
        let norm = if request.norm { request::NORM } else { 0 };
        let prefix = if request.prefix { request::PREFIX } else { 0 };
        Ok((layers.into_iter().map(|l| l as i32).collect(), norm | prefix))
    }
}

impl Encoder for ForeignEncoder {
    fn descriptor(&self) -> &EncoderDescriptor {
        &self.descriptor
    }

    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        let (layers, flags) = self.spell(request)?;
        let call = Call { inputs: &[("pixels", pixels)], layers: &layers, flags, options: "" };
        let (mut tensors, reply) = self.foreign.run(Function::Call, &call)?;
        let maps: Vec<MapReply> =
            from_json("reply of an encoder", &reply).map_err(|e| self.foreign.broken(e))?;
        if maps.len() != layers.len() {
            let what = format!("{} feature maps came back, {} were asked for", maps.len(), layers.len());
            return Err(self.foreign.broken(what));
        }
        let batch = pixels.dims().first().copied().unwrap_or(0);
        maps.into_iter()
            .zip(layers)
            .enumerate()
            .map(|(i, (map, layer))| {
                if map.layer != layer as usize {
                    return Err(self.foreign.broken(format!("layer {} came back as {layer}", map.layer)));
                }
                let channels = self.descriptor.layers.get(map.layer).map_or(0, |l| l.channels);
                let name = format!("tokens.{i}");
                let tokens = tensors.take(&name).map_err(|e| self.foreign.broken(e))?;
                self.foreign.expect(&name, &tokens, &[batch, map.grid.cells(), channels])?;
                let name = format!("prefix.{i}");
                let prefix = map.prefix.then(|| tensors.take(&name)).transpose()?;
                if let Some(prefix) = &prefix {
                    self.foreign.expect(&name, prefix, &[batch, self.descriptor.prefix.len(), channels])?;
                }
                Ok(FeatureMap { tokens, prefix, grid: map.grid, layer: map.layer, normed: map.normed })
            })
            .collect()
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
        let names = || {
            let text = self.foreign.optional(self.foreign.object.param_names())?.into_result();
            from_json("names of parameters", text.map_err(|e| from_wire(&e))?.as_str())
        };
        names().unwrap_or_else(|e: Error| {
            tracing::warn!("{}: no parameters: {e}", self.descriptor.id);
            Vec::new()
        })
    }

    /// The value, in host memory.
    fn parameter(&self, name: &str) -> Result<Tensor> {
        let owned = self.foreign.optional(self.foreign.object.get_param(name))?.into_result();
        import_owned(&owned.map_err(|e| from_wire(&e))?)
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
        let (layers, flags) = self.spell(request)?;
        let options = to_json(&VjpOptions { parameters: parameters.to_vec() })?;
        let names: Vec<_> = (0..cotangents.len()).map(|i| format!("cotangent.{i}")).collect();
        let mut inputs = vec![("pixels", pixels)];
        inputs.extend(names.iter().map(String::as_str).zip(cotangents));
        let call = Call { inputs: &inputs, layers: &layers, flags, options: &options };
        let (mut tensors, _) = self.foreign.run(Function::Vjp, &call)?;
        let gradient = tensors.take("pixels").map_err(|e| self.foreign.broken(e))?;
        self.foreign.expect("pixels", &gradient, pixels.dims())?;
        let gradients = tensors.list("parameter");
        if gradients.len() != parameters.len() {
            let what = format!("{} gradients for {} parameters", gradients.len(), parameters.len());
            return Err(self.foreign.broken(what));
        }
        Ok((gradient, gradients))
    }
}
