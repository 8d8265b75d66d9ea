//! The three linear maps of one input that attention needs, stored apart or as one matrix.

use candle_core::{D, Tensor};
use zoo_core::weights::Params;
use zoo_core::{Error, Result};

use crate::linear::Linear;
use crate::quantised::{self, RowOrder};

/// Maps to queries, keys and values.
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
