use zoo_core::sdk::wire::{BlockReply, ConnectorOp, FusedShape, from_json, fused_parts, to_json};
use zoo_core::{Cells, Connector, ConnectorDescriptor, ConnectorInputs, Fused, ImageBlock, Result};

use candle_core::Tensor;

use super::Foreign;

pub(in super::super) struct ForeignConnector {
    foreign: Foreign,
    descriptor: ConnectorDescriptor,
}

impl ForeignConnector {
    pub fn new(foreign: Foreign) -> Result<Self> {
        let descriptor = foreign.describe()?;
        Ok(Self { foreign, descriptor })
    }
}

fn borrow<'a>(parts: &'a [(String, &'a Tensor)]) -> Vec<(&'a str, &'a Tensor)> {
    parts.iter().map(|(name, tensor)| (name.as_str(), *tensor)).collect()
}

impl Connector for ForeignConnector {
    fn descriptor(&self) -> &ConnectorDescriptor {
        &self.descriptor
    }

    fn forward(&self, inputs: &ConnectorInputs) -> Result<Fused> {
        let names: Vec<_> = (0..inputs.features.len()).map(|i| format!("feature.{i}")).collect();
        let parts: Vec<_> = names.iter().map(String::as_str).zip(&inputs.features).collect();
        let op = ConnectorOp::Forward { image_sizes: inputs.image_sizes.clone() };
        let (mut tensors, reply) = self.foreign.operate(&parts, &to_json(&op)?)?;
        let shape: FusedShape =
            from_json("reply of a connector", &reply).map_err(|e| self.foreign.broken(e))?;
        let fused = tensors.fused(shape).map_err(|e| self.foreign.broken(e))?;
        let batch = inputs.features.first().map_or(Ok(0), |f| f.dim(0))?;
        self.foreign.expect("tokens", &fused.tokens, &[batch, fused.grid.cells(), self.descriptor.output])?;
        Ok(fused)
    }

    fn block(&self, fused: &Fused, row: usize) -> Result<ImageBlock> {
        let (parts, shape) = fused_parts(fused);
        let op = ConnectorOp::Block { fused: shape, row };
        let (mut tensors, reply) = self.foreign.operate(&borrow(&parts), &to_json(&op)?)?;
        let BlockReply { grid, newline } =
            from_json("reply of a connector", &reply).map_err(|e| self.foreign.broken(e))?;
        let tokens = tensors.take("tokens").map_err(|e| self.foreign.broken(e))?;
        let length = grid.h * (grid.w + usize::from(newline));
        self.foreign.expect("tokens", &tokens, &[length, self.descriptor.output])?;
        Ok(ImageBlock { tokens, grid, newline })
    }

    fn refine(&self, step: usize, cells: &Cells, fused: &Fused) -> Result<Tensor> {
        let (parts, shape) = fused_parts(fused);
        let op = ConnectorOp::Refine { fused: shape, step, grid: cells.grid, row: cells.row };
        let mut inputs = vec![("hidden", &cells.hidden)];
        inputs.extend(borrow(&parts));
        let (mut tensors, _) = self.foreign.operate(&inputs, &to_json(&op)?)?;
        let hidden = tensors.take("hidden").map_err(|e| self.foreign.broken(e))?;
        self.foreign.expect("hidden", &hidden, cells.hidden.dims())?;
        Ok(hidden)
    }
}
