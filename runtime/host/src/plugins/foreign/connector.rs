use candle_core::Tensor;
use zoo_core::sdk::wire::{
    BlockReply, ConnectorOp, FusedShape, LayerReply, Tensors, fused_parts, named_list, to_json,
};
use zoo_core::{
    Cells, Connector, ConnectorDescriptor, ConnectorInputs, Fused, Grid, ImageBlock, LayerAttention, Result,
};

use super::{ANY, Foreign};

/// No grid has more cells: their number stays within a machine word.
const LARGEST: Grid = Grid::square(1 << 16);

pub(in super::super) struct ForeignConnector {
    foreign: Foreign,
    descriptor: ConnectorDescriptor,
}

impl ForeignConnector {
    pub fn new(foreign: Foreign) -> Result<Self> {
        let descriptor = foreign.describe(ConnectorDescriptor::faults)?;
        Ok(Self { foreign, descriptor })
    }

    /// One tensor of `dims` per encoder.
    fn shares(&self, tensors: &mut Tensors, name: &str, dims: &[usize]) -> Result<Vec<Tensor>> {
        let shares = tensors.list(name);
        self.check_shares(name, &shares, dims, self.descriptor.inputs.len())?;
        Ok(shares)
    }

    fn check_shares(&self, name: &str, shares: &[Tensor], dims: &[usize], expected: usize) -> Result<()> {
        if shares.len() != expected {
            let message = format!("shares `{name}` of {} encoders, expected {expected}", shares.len());
            return Err(self.foreign.broken(message));
        }
        shares.iter().try_for_each(|share| self.foreign.expect(name, share, dims))
    }

    /// Refuses a grid with nothing in it, and one beyond `whole`.
    fn grid(&self, what: &str, grid: Grid, whole: Grid) -> Result<()> {
        if grid.h == 0 || grid.w == 0 || grid.h > whole.h || grid.w > whole.w {
            return Err(self.foreign.broken(format!("{what} is {grid}, which is no part of {whole}")));
        }
        Ok(())
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
        let shape: FusedShape = self.foreign.reply("a connector", &reply)?;
        let said = &self.descriptor;
        match said.side.map(Grid::square) {
            None => self.grid("the grid of what it fused", shape.grid, LARGEST)?,
            Some(promised) if promised == shape.grid => {}
            Some(promised) => {
                return Err(self.foreign.broken(format!(
                    "the grid of what it fused is {}, and its descriptor promises {promised}",
                    shape.grid
                )));
            }
        }
        if shape.image_sizes != inputs.image_sizes {
            return Err(self
                .foreign
                .broken("the image sizes of what it fused are not those that it was given"));
        }
        let fused = tensors.fused(shape).map_err(|e| self.foreign.broken(e))?;
        let batch = inputs.image_sizes.len();
        self.foreign.expect("tokens", &fused.tokens, &[batch, fused.grid.cells(), said.output])?;
        let shares = if said.attends { said.inputs.len() } else { 0 };
        self.check_shares("attention", &fused.attention, &[batch, ANY], shares)?;
        Ok(fused)
    }

    fn block(&self, fused: &Fused, row: usize) -> Result<ImageBlock> {
        let (parts, shape) = fused_parts(fused);
        let op = ConnectorOp::Block { fused: shape, row };
        let (mut tensors, reply) = self.foreign.operate(&borrow(&parts), &to_json(&op)?)?;
        let BlockReply { grid, newline } = self.foreign.reply("a connector", &reply)?;
        self.grid("the grid of an image's block", grid, fused.grid)?;
        let tokens = tensors.take("tokens").map_err(|e| self.foreign.broken(e))?;
        let length = ImageBlock::length(grid, newline);
        self.foreign.expect("tokens", &tokens, &[length, self.descriptor.output])?;
        Ok(ImageBlock { tokens, grid, newline })
    }

    fn attention(&self, inputs: &ConnectorInputs) -> Result<Vec<LayerAttention>> {
        let op = ConnectorOp::Attention { image_sizes: inputs.image_sizes.clone() };
        let (mut tensors, reply) = self.foreign.operate(&borrow(&features(inputs)), &to_json(&op)?)?;
        let layers: Vec<LayerReply> = self.foreign.reply("a connector", &reply)?;
        let batch = inputs.image_sizes.len();
        let layer = |(l, LayerReply { group, layer, grid }): (usize, LayerReply)| {
            self.grid("the grid of a group of queries", grid, LARGEST)?;
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
