//! A connector behind the table.

use candle_core::Device;

use super::served::{Call, Reply, Served};
use super::wire::{BlockReply, ConnectorOp, from_json, fused_parts, to_json};
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
            ConnectorOp::Refine { fused, step, grid, row } => {
                let cells = Cells { hidden: inputs.take("hidden")?, grid, row };
                let hidden = self.connector.refine(step, &cells, &inputs.fused(fused)?)?;
                Ok(Reply::one("hidden", hidden))
            }
        }
    }
}
