use zoo_core::sdk::wire::{
    BlockReply, ConnectorOp, FusedShape, LayerReply, Tensors, from_json, fused_parts, named_list, to_json,
};
use zoo_core::{
    Cells, Connector, ConnectorDescriptor, ConnectorInputs, Error, Fused, ImageBlock, LayerAttention, Result,
};

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

    /// One tensor of `dims` per encoder.
    fn shares(&self, tensors: &mut Tensors, name: &str, dims: &[usize]) -> Result<Vec<Tensor>> {
        let shares = tensors.list(name);
        for share in &shares {
            self.foreign.expect(name, share, dims)?;
        }
        if shares.len() != self.descriptor.inputs.len() {
            let (given, expected) = (shares.len(), self.descriptor.inputs.len());
            let message = format!("shares `{name}` of {given} encoders, expected {expected}");
            return Err(self.foreign.broken(Error::invalid(message)));
        }
        Ok(shares)
    }
}

fn features(inputs: &ConnectorInputs) -> Vec<(String, &Tensor)> {
    named_list("feature", &inputs.features).collect()
}

fn borrow<'a>(parts: &'a [(String, &'a Tensor)]) -> Vec<(&'a str, &'a Tensor)> {
    parts.iter().map(|(name, tensor)| (name.as_str(), *tensor)).collect()
}

impl Connector for ForeignConnector {
    fn descriptor(&self) -> &ConnectorDescriptor {
        &self.descriptor
    }

    fn forward(&self, inputs: &ConnectorInputs) -> Result<Fused> {
        let op = ConnectorOp::Forward { image_sizes: inputs.image_sizes.clone() };
        let (mut tensors, reply) = self.foreign.operate(&borrow(&features(inputs)), &to_json(&op)?)?;
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

    fn attention(&self, inputs: &ConnectorInputs) -> Result<Vec<LayerAttention>> {
        let op = ConnectorOp::Attention { image_sizes: inputs.image_sizes.clone() };
        let (mut tensors, reply) = self.foreign.operate(&borrow(&features(inputs)), &to_json(&op)?)?;
        let layers: Vec<LayerReply> =
            from_json("reply of a connector", &reply).map_err(|e| self.foreign.broken(e))?;
        let batch = inputs.image_sizes.len();
        let layer = |(l, LayerReply { group, layer, grid }): (usize, LayerReply)| {
            let shares = self.shares(&mut tensors, &format!("share.{l}"), &[batch, grid.cells()])?;
            Ok(LayerAttention { group, layer, grid, shares })
        };
        layers.into_iter().enumerate().map(layer).collect()
    }

    fn refine_attention(&self, step: usize, cells: &Cells, fused: &Fused) -> Result<Vec<Tensor>> {
        let (parts, shape) = fused_parts(fused);
        let op = ConnectorOp::RefineAttention { fused: shape, step, grid: cells.grid, row: cells.row };
        let mut inputs = vec![("hidden", &cells.hidden)];
        inputs.extend(borrow(&parts));
        let (mut tensors, _) = self.foreign.operate(&inputs, &to_json(&op)?)?;
        self.shares(&mut tensors, "share", &[cells.grid.cells()])
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
