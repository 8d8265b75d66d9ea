//! An encoder behind the table.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use zoo_abi::request;

use super::served::{Call, Reply, Served};
use super::wire::{EMBEDDING, EncoderReply, MapReply, OPTION, VjpOptions, from_json, named_list, to_json};
use crate::{CallOptions, Cost, Differentiable, Embedded, Encoder, Error, FeatureRequest, Layers, Result};

pub(super) struct ServedEncoder {
    pub plugin: &'static str,
    pub encoder: Box<dyn Encoder>,
    pub device: Device,
}

impl ServedEncoder {
    fn differentiable(&self) -> Result<&dyn Differentiable> {
        self.encoder.differentiable().ok_or_else(|| Error::unsupported(self.id(), "gradients"))
    }
}

fn feature_request(call: &Call<'_>) -> FeatureRequest {
    FeatureRequest {
        layers: Layers::Indices(call.layers.to_vec()),
        norm: call.flags & request::NORM != 0,
        prefix: call.flags & request::PREFIX != 0,
    }
}

impl Served for ServedEncoder {
    fn plugin(&self) -> &'static str {
        self.plugin
    }

    fn id(&self) -> &str {
        &self.encoder.descriptor().id
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn describe(&self) -> Result<String> {
        let embedding = self.encoder.embedding().cloned();
        to_json(&EncoderReply { descriptor: self.encoder.descriptor().clone(), embedding })
    }

    fn call(&self, mut call: Call<'_>) -> Result<Reply> {
        let pixels = call.inputs.take("pixels")?;
        let request = feature_request(&call);
        let tensors: BTreeMap<String, Tensor> = call.inputs.rest(OPTION);
        let values =
            if call.options.is_empty() { BTreeMap::new() } else { from_json("options", call.options)? };
        // Without options the call is that of every encoder, whatever it implements.
        let plain = values.is_empty() && tensors.is_empty();
        let options = CallOptions::new(values, tensors);
        let (vectors, maps) = if call.flags & request::EMBEDDING != 0 {
            let beside = (!call.layers.is_empty()).then_some(&request);
            let Embedded { vectors, maps } = self.encoder.embed(&pixels, beside, &options)?;
            (Some(vectors), maps)
        } else if plain {
            (None, self.encoder.forward(&pixels, &request)?)
        } else {
            (None, self.encoder.forward_with(&pixels, &request, &options)?)
        };
        let mut tensors = Vec::with_capacity(maps.len() + 1);
        tensors.extend(vectors.map(|vectors| (EMBEDDING.to_owned(), vectors)));
        let mut replies = Vec::with_capacity(maps.len());
        for (i, map) in maps.into_iter().enumerate() {
            replies.push(MapReply {
                grid: map.grid,
                layer: map.layer,
                normed: map.normed,
                prefix: map.prefix.is_some(),
            });
            tensors.push((format!("tokens.{i}"), map.tokens));
            tensors.extend(map.prefix.map(|p| (format!("prefix.{i}"), p)));
        }
        Ok(Reply { tensors, json: to_json(&replies)? })
    }

    fn estimate(&self, dims: &[i64]) -> Result<Cost> {
        let sizes: Option<Vec<_>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        match sizes.as_deref() {
            Some(&[batch, height, width]) => Ok(self.encoder.cost(batch, height, width)),
            _ => Err(Error::invalid(format!("a cost is asked for batch, height and width, not {dims:?}"))),
        }
    }

    fn vjp(&self, mut call: Call<'_>) -> Result<Reply> {
        let options: VjpOptions = from_json("options of vjp", call.options)?;
        let pixels = call.inputs.take("pixels")?;
        let cotangents = call.inputs.list("cotangent");
        let (gradient, parameters) =
            self.differentiable()?.vjp(&pixels, &feature_request(&call), &cotangents, &options.parameters)?;
        let mut reply = Reply::one("pixels", gradient);
        reply.tensors.extend(named_list("parameter", &parameters).map(|(n, t)| (n, t.clone())));
        Ok(reply)
    }

    fn param_names(&self) -> Result<Vec<String>> {
        Ok(self.differentiable()?.parameter_names())
    }

    fn get_param(&self, name: &str) -> Result<Tensor> {
        self.differentiable()?.parameter(name)
    }

    fn set_param(&self, name: &str, value: &Tensor) -> Result<()> {
        self.differentiable()?.set_parameter(name, value)
    }
}
