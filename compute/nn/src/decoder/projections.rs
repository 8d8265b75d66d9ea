//! The three linear maps of one input that attention needs, stored apart or as one matrix.

use candle_core::{D, Tensor, WithDType};
use zoo_core::weights::Params;
use zoo_core::{Error, Result};
use zoo_kernels::Element;

use crate::graph::Sink;
use crate::linear::Linear;
use crate::quantised::{self, RowOrder};

/// Maps to queries, keys and values.
#[derive(Debug, Clone)]
pub(super) enum Projections {
    /// One matrix each.
    Apart([Linear; 3]),
    /// Stacked along the rows, with the number of rows of each.
    Joint(Linear, [usize; 3]),
}

impl Projections {
    /// Reads maps from `inputs` channels to those of each of `parts`: under the names of the parts, or under the
    /// one name `joint`; each with the order of its rows in the file, which is of use only when they stand apart.
    pub fn load(
        params: &Params,
        joint: Option<&str>,
        parts: [(&str, usize, RowOrder); 3],
        inputs: usize,
        bias: bool,
    ) -> Result<Self> {
        let outputs = parts.map(|(_, outputs, _)| outputs);
        Ok(match joint {
            Some(name) => {
                let rows = outputs.iter().sum();
                Self::Joint(quantised::load(&params.pp(name), inputs, rows, bias, RowOrder::Same)?, outputs)
            }
            None => {
                let load = |(name, rows, order)| quantised::load(&params.pp(name), inputs, rows, bias, order);
                Self::Apart(all(parts.into_iter().map(load))?)
            }
        })
    }

    /// The maps, one or three.
    pub fn maps(&self) -> &[Linear] {
        match self {
            Self::Apart(maps) => maps,
            Self::Joint(map, _) => std::slice::from_ref(map),
        }
    }

    /// `[…, inputs]` to `[…, outputs]` of each map, without a graph.
    pub fn compute<T: Element + WithDType>(&self, x: &Tensor) -> candle_core::Result<[Tensor; 3]> {
        match self {
            Self::Apart([q, k, v]) => {
                let map = |map: &Linear| {
                    Ok::<_, candle_core::Error>(map.compute::<T>(&map.still::<T>()?, x, None)?.tensor())
                };
                Ok([map(q)?, map(k)?, map(v)?])
            }
            Self::Joint(map, [q, k, v]) => {
                let joint = map.compute::<T>(&map.still::<T>()?, x, None)?.tensor();
                let part = |start, length| joint.narrow(D::Minus1, start, length)?.contiguous();
                Ok([part(0, *q)?, part(*q, *k)?, part(q + k, *v)?])
            }
        }
    }

    /// Leaves the gradients of the maps for their input and the gradients of their results, and gives that of the input,
    /// if somebody `wants` it.
    pub fn pull<T: Element + WithDType>(
        &self,
        x: &Tensor,
        gradients: [Tensor; 3],
        wants: bool,
        sink: &mut Sink,
    ) -> candle_core::Result<Option<Tensor>> {
        match self {
            Self::Apart(maps) => {
                let mut sum: Option<Tensor> = None;
                for (map, gradient) in maps.iter().zip(&gradients) {
                    sum = map.pull::<T>(x, gradient, wants, sum.as_ref(), sink)?;
                }
                Ok(sum)
            }
            Self::Joint(map, _) => map.pull::<T>(x, &Tensor::cat(&gradients, D::Minus1)?, wants, None, sink),
        }
    }

    /// `[…, inputs]` to `[…, outputs]` of each map.
    pub fn forward(&self, x: &Tensor) -> Result<[Tensor; 3]> {
        match self {
            Self::Apart(maps) => all(maps.iter().map(|map| map.forward(x))),
            Self::Joint(map, outputs) => {
                let joint = map.forward(x)?;
                let mut start = 0;
                all(outputs.iter().map(|&length| {
                    let part = joint.narrow(D::Minus1, start, length)?;
                    start += length;
                    Ok(part)
                }))
            }
        }
    }
}

fn all<T>(items: impl Iterator<Item = Result<T>>) -> Result<[T; 3]> {
    let items: Vec<T> = items.collect::<Result<_>>()?;
    items.try_into().map_err(|_| Error::Internal("not three projections".to_owned()))
}
