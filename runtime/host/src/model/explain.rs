//! Where the aggregation layers of a model look while it answers.

use std::sync::Mutex;

use candle_core::Tensor;
use serde::Serialize;
use zoo_core::{
    Cells, Connector, ConnectorDescriptor, ConnectorInputs, Fused, Grid, ImageBlock, ImageRefiner, Region,
    unpad,
};
use zoo_language::generate::{Control, Generated, Generator, Options};
use zoo_language::template::Conversation;
use zoo_preprocess::Decoded;

use super::request::ModelProgress;
use super::session::ModelSession;
use super::sight::Sight;
use crate::HostError;

/// An answer, and where the model looked for it.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Id of the connector.
    pub connector: String,
    /// Ids of the encoders.
    pub encoders: Vec<String>,
    /// One for each layer, in the order in which they ran.
    pub looks: Vec<Look>,
    /// What the model said.
    pub generated: Generated,
}

/// Where one layer looked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Look {
    /// Which layer.
    pub place: LayerSite,
    /// Grid of its queries over the image padded to a square.
    pub grid: Grid,
    /// The cells of the grid that show the image.
    #[serde(skip)]
    pub region: Region,
    /// Share of attention of each encoder over the cells of the region, `[encoder][cell]`, row-major; they sum to 1
    /// over encoders.
    pub shares: Vec<Vec<f32>>,
}

impl Look {
    /// Mean share of each encoder.
    pub fn means(&self) -> Vec<f32> {
        let mean = |shares: &Vec<f32>| shares.iter().sum::<f32>() / shares.len().max(1) as f32;
        self.shares.iter().map(mean).collect()
    }
}

/// Where in a model a layer stands. Numbers are from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "where", rename_all = "snake_case")]
pub enum LayerSite {
    /// In the connector.
    Before {
        /// Group of queries.
        group: usize,
        /// Layer of the group.
        layer: usize,
    },
    /// Inside the language model.
    Inside {
        /// The decoder layer whose output it refines.
        after: usize,
    },
}

impl ModelSession {
    /// Answers the open question of `conversation` about `image`, and tells where the connector's layers looked.
    ///
    /// # Errors
    /// As [`ModelSession::look`] and [`ModelSession::answer`]; [`HostError::Core`] for a connector that cannot tell.
    pub fn explain(
        &self,
        conversation: &Conversation,
        image: &Decoded,
        options: &Options,
        progress: &dyn ModelProgress,
        control: Control<'_>,
    ) -> Result<Explanation, HostError> {
        let Some(connector) = self.connector() else {
            return Err(HostError::Conversation(format!(
                "{} is a language model without encoders: there is nothing to explain",
                self.id()
            )));
        };
        let size = image.size;
        let inputs = self.connector_inputs(image, progress)?;
        let mut looks = Vec::new();
        for layer in connector.attention(&inputs)? {
            let region = unpad(layer.grid, size);
            let shares = layer.shares.iter().map(|share| cut(share, layer.grid, &region));
            let shares = shares.collect::<Result<_, HostError>>()?;
            let place = LayerSite::Before { group: layer.group, layer: layer.layer };
            looks.push(Look { place, grid: layer.grid, region, shares });
        }
        let fused = connector.forward(&inputs)?;
        let blocks = vec![connector.block(&fused, 0)?];
        let grid = fused.grid;
        let sight = Sight { fused: Some(fused), blocks };

        let watching = Watching { inner: connector, seen: Mutex::default() };
        let assembled = self.assemble(&self.prompt(conversation)?, &sight)?;
        let generated = {
            let fused = sight.fused.as_ref().ok_or_else(|| HostError::Internal("nothing was seen".into()))?;
            let mut hook = ImageRefiner::new(&watching, fused, assembled.images.clone())?;
            let generator = Generator::new(self.llm()?, self.tokenizer());
            generator.run(&assembled.embeddings, &mut hook, options, control)?
        };
        let after = &connector.descriptor().refine_after;
        let seen = watching.seen.into_inner().map_err(|_| HostError::Internal("a look was lost".into()))?;
        for (step, shares) in seen {
            let shares = shares.iter().map(numbers).collect::<Result<_, _>>()?;
            let place = LayerSite::Inside { after: after.get(step).copied().unwrap_or(step) };
            looks.push(Look { place, grid, region: unpad(grid, size), shares });
        }
        Ok(Explanation {
            connector: connector.descriptor().id.clone(),
            encoders: self.release().encoders.iter().map(|encoder| encoder.id.clone()).collect(),
            looks,
            generated,
        })
    }
}

/// A connector that writes down where it looks inside the language model.
struct Watching<'a> {
    inner: &'a dyn Connector,
    seen: Mutex<Vec<(usize, Vec<Tensor>)>>,
}

impl Connector for Watching<'_> {
    fn descriptor(&self) -> &ConnectorDescriptor {
        self.inner.descriptor()
    }

    fn forward(&self, inputs: &ConnectorInputs) -> zoo_core::Result<Fused> {
        self.inner.forward(inputs)
    }

    fn block(&self, fused: &Fused, row: usize) -> zoo_core::Result<ImageBlock> {
        self.inner.block(fused, row)
    }

    fn refine(&self, step: usize, cells: &Cells, fused: &Fused) -> zoo_core::Result<Tensor> {
        let shares = self.inner.refine_attention(step, cells, fused)?;
        if let Ok(mut seen) = self.seen.lock() {
            seen.push((step, shares));
        }
        self.inner.refine(step, cells, fused)
    }
}

/// The cells of `region` out of shares `[1, grid.cells()]`.
fn cut(shares: &Tensor, grid: Grid, region: &Region) -> Result<Vec<f32>, HostError> {
    let all = numbers(shares)?;
    let rows = region.rows.clone().flat_map(|row| region.cols.clone().map(move |col| row * grid.w + col));
    Ok(rows.filter_map(|cell| all.get(cell).copied()).collect())
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>, HostError> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}
