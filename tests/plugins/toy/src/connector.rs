//! The mean of all feature maps, with every member getting the same share of attention.

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use zoo_core::weights::Weights;
use zoo_core::{
    Cells, Connector, ConnectorDescriptor, ConnectorInput, ConnectorInputs, Error, Fused, Grid, ImageBlock,
    Result, Spec, step,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arch {
    channels: usize,
    members: usize,
}

struct Mean {
    descriptor: ConnectorDescriptor,
}

pub fn load(spec: &Spec, _: &Weights, _: &Device) -> Result<Box<dyn Connector>> {
    let arch: Arch = spec.arch()?;
    let input = ConnectorInput { channels: arch.channels, tokens: None };
    Ok(Box::new(Mean {
        descriptor: ConnectorDescriptor {
            id: spec.id.clone(),
            inputs: vec![input; arch.members],
            output: arch.channels,
            side: None,
            attends: true,
            refine_after: vec![0],
            parameters: 0,
        },
    }))
}

impl Connector for Mean {
    fn descriptor(&self) -> &ConnectorDescriptor {
        &self.descriptor
    }

    fn forward(&self, inputs: &ConnectorInputs) -> Result<Fused> {
        step(0, 1)?;
        let members = self.descriptor.inputs.len();
        if inputs.features.len() != members {
            return Err(Error::invalid(format!("{members} maps are fused, {} came", inputs.features.len())));
        }
        let (batch, cells, _) = inputs.features[0].dims3()?;
        let tokens = (Tensor::stack(&inputs.features, 0)?.sum(0)? / members as f64)?;
        let share = Tensor::ones((batch, cells), DType::F32, tokens.device())?;
        Ok(Fused {
            grid: Grid::of_tokens(cells)?,
            attention: vec![(share / members as f64)?; members],
            memory: vec![tokens.mean(1)?],
            tokens,
            image_sizes: inputs.image_sizes.clone(),
        })
    }

    /// Leaves the first row of cells out, so that it differs from the default.
    fn block(&self, fused: &Fused, row: usize) -> Result<ImageBlock> {
        let plain = ImageBlock::plain(fused, row)?;
        let grid = Grid { h: plain.grid.h - 1, w: plain.grid.w };
        Ok(ImageBlock { tokens: plain.tokens.narrow(0, grid.w, grid.cells())?, grid, newline: false })
    }

    fn refine(&self, step: usize, cells: &Cells, fused: &Fused) -> Result<Tensor> {
        let memory = fused.memory[0].get(cells.row)?;
        Ok(cells.hidden.broadcast_add(&(memory * (step + 1) as f64)?)?)
    }
}
