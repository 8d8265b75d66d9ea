//! A graph that can be run: pixels of one image in, chosen outputs out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rten::{Dimension, Model, NodeId, RunOptions, ThreadPool, Value, ValueView};
use rten_tensor::Layout;
use zoo_core::{Error, Result};

use crate::config::{Config, Order};

pub(crate) struct Graph {
    path: PathBuf,
    model: Model,
    input: NodeId,
    outputs: Vec<NodeId>,
    order: Order,
    options: RunOptions,
}

/// An output: its axes, and its numbers in row-major order.
pub(crate) struct Seen {
    pub shape: Vec<usize>,
    pub numbers: Vec<f32>,
}

impl Graph {
    /// Reads a file and finds what the row names.
    pub(crate) fn open(path: &Path, config: &Config) -> Result<Self> {
        let fault = |message: String| Error::File { path: path.to_owned(), message };
        let model = Model::load_file(path).map_err(|e| fault(format!("no graph that can be run: {e}")))?;
        let names = |ids: &[NodeId]| {
            let name = |id: &NodeId| model.node_info(*id)?.name().map(|name| format!("`{name}`"));
            ids.iter().filter_map(name).collect::<Vec<_>>().join(", ")
        };
        let input = match &config.input {
            Some(name) => {
                model.find_node(name).filter(|id| model.input_ids().contains(id)).ok_or_else(|| {
                    fault(format!("the graph has no input `{name}`; it has {}", names(model.input_ids())))
                })?
            }
            None => match model.input_ids() {
                [only] => *only,
                several => {
                    return Err(fault(format!(
                        "the graph has {} inputs ({}); say in `input` which one takes the pixels",
                        several.len(),
                        names(several)
                    )));
                }
            },
        };
        let find = |name: &String| {
            model.find_node(name).filter(|id| model.output_ids().contains(id)).ok_or_else(|| {
                fault(format!("the graph has no output `{name}`; it has {}", names(model.output_ids())))
            })
        };
        let outputs = config.outputs.iter().map(|output| find(&output.name)).collect::<Result<_>>()?;
        let rank = model.node_info(input).and_then(|info| info.shape());
        if let Some(shape) = rank.filter(|shape| shape.len() != 4) {
            return Err(fault(format!("its input has {} axes; pixels have four", shape.len())));
        }
        // As many threads as the host has given us.
        let pool = ThreadPool::with_num_threads(rayon::current_num_threads());
        let options = RunOptions::default().with_thread_pool(Some(Arc::new(pool)));
        Ok(Self { path: path.to_owned(), input, outputs, order: config.pixels, options, model })
    }

    /// An error about the file.
    pub(crate) fn fault(&self, message: String) -> Error {
        Error::File { path: self.path.clone(), message }
    }

    /// Parameters of the graph.
    pub(crate) fn parameters(&self) -> u64 {
        self.model.total_params() as u64
    }

    /// Height and width that the input insists on.
    pub(crate) fn fixed(&self) -> Option<(usize, usize)> {
        let shape = self.model.node_info(self.input)?.shape()?;
        let axis = |axis: usize| match shape.get(axis) {
            Some(Dimension::Fixed(length)) => Some(*length),
            _ => None,
        };
        match self.order {
            Order::Nchw => Some((axis(2)?, axis(3)?)),
            Order::Nhwc => Some((axis(1)?, axis(2)?)),
        }
    }

    /// Looks at one image: `pixels` `[3, height, width]`. Gives the outputs of these places.
    pub(crate) fn run(
        &self,
        pixels: &[f32],
        (height, width): (usize, usize),
        places: &[usize],
    ) -> Result<Vec<Seen>> {
        let turned;
        let (shape, numbers) = match self.order {
            Order::Nchw => ([1, 3, height, width], pixels),
            Order::Nhwc => {
                let area = height * width;
                turned = (0..3 * area).map(|i| pixels[i % 3 * area + i / 3]).collect::<Vec<f32>>();
                ([1, height, width, 3], turned.as_slice())
            }
        };
        let view = ValueView::from_shape(shape, numbers).map_err(|e| self.fault(e.to_string()))?;
        let wanted: Vec<NodeId> = places.iter().map(|place| self.outputs[*place]).collect();
        let values = self.model.run(vec![(self.input, view.into())], &wanted, Some(self.options.clone()));
        let values = values.map_err(|e| self.fault(format!("the graph failed: {e}")))?;
        values.into_iter().map(|value| self.seen(value)).collect()
    }

    fn seen(&self, value: Value) -> Result<Seen> {
        let kind = value.dtype();
        let tensor = value.into_tensor::<f32>();
        let tensor =
            tensor.ok_or_else(|| self.fault(format!("an output is {kind}, and features are f32")))?;
        let shape = tensor.shape().to_vec();
        Ok(Seen { shape, numbers: tensor.into_data() })
    }
}
