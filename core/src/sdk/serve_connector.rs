//! A connector behind the table.

use candle_core::Device;

use super::served::{Call, Reply, Served};
use super::wire::{BlockReply, ConnectorOp, LayerReply, from_json, fused_parts, named_list, to_json};
use crate::{Cells, Connector, ConnectorInputs, Result};

pub(super) struct ServedConnector {
    pub plugin: &'static str,
    pub connector: Box<dyn Connector>,
    pub device: Device,
}

impl Served for ServedConnector {
    fn plugin(&self) -> &'static str {
        self.plugin
    }

    fn id(&self) -> &str {
        &self.connector.descriptor().id
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn describe(&self) -> Result<String> {
        to_json(self.connector.descriptor())
    }

    fn call(&self, call: Call<'_>) -> Result<Reply> {
        let mut inputs = call.inputs;
        match from_json("operation of a connector", call.options)? {
            ConnectorOp::Forward { image_sizes } => {
                let features = inputs.list("feature");
                let fused = self.connector.forward(&ConnectorInputs { features, image_sizes })?;
                let (parts, shape) = fused_parts(&fused);
                let tensors = parts.into_iter().map(|(name, t)| (name, t.clone())).collect();
                Ok(Reply { tensors, json: to_json(&shape)? })
            }
            ConnectorOp::Block { fused, row } => {
                let block = self.connector.block(&inputs.fused(fused)?, row)?;
                let reply = BlockReply { grid: block.grid, newline: block.newline };
                Ok(Reply { json: to_json(&reply)?, ..Reply::one("tokens", block.tokens) })
            }
            ConnectorOp::Attention { image_sizes } => {
                let features = inputs.list("feature");
                let looked = self.connector.attention(&ConnectorInputs { features, image_sizes })?;
                let (mut tensors, mut layers) = (Vec::new(), Vec::new());
                for (l, layer) in looked.iter().enumerate() {
                    let name = format!("share.{l}");
                    tensors.extend(named_list(&name, &layer.shares).map(|(name, t)| (name, t.clone())));
                    layers.push(LayerReply { group: layer.group, layer: layer.layer, grid: layer.grid });
                }
                Ok(Reply { tensors, json: to_json(&layers)? })
            }
            ConnectorOp::RefineAttention { fused, step, grid, row } => {
                let cells = Cells { hidden: inputs.take("hidden")?, grid, row };
                let shares = self.connector.refine_attention(step, &cells, &inputs.fused(fused)?)?;
                let tensors = named_list("share", &shares).map(|(name, t)| (name, t.clone())).collect();
                Ok(Reply { tensors, ..Reply::default() })
            }
            ConnectorOp::Refine { fused, step, grid, row } => {
                let cells = Cells { hidden: inputs.take("hidden")?, grid, row };
                let hidden = self.connector.refine(step, &cells, &inputs.fused(fused)?)?;
                Ok(Reply::one("hidden", hidden))
            }
        }
    }
}
