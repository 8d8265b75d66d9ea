//! The activated product inside gated feed-forward networks.

use candle_core::{D, Device, Tensor, WithDType};
use zoo_core::Result;
use zoo_kernels::{Element, Gated, written};

use crate::activation::Activation;
use crate::dispatch::{Path, with};
use crate::values::Values;

/// What is multiplied.
#[derive(Clone, Copy)]
pub(crate) enum Branches<'a> {
    /// The gate and the other factor, of one shape.
    Apart(&'a Tensor, &'a Tensor),
    /// One after the other on the last axis.
    Joint(&'a Tensor),
}

impl Branches<'_> {
    /// `activation(gate) · up`; differentiable.
    pub(crate) fn multiply(self, activation: Activation) -> Result<Tensor> {
        let (first, second) = match self {
            Self::Apart(gate, up) => (gate, up),
            Self::Joint(both) => (both, both),
        };
        if let Path::Kernel(numbers) = Path::of([first, second]) {
            return Ok(with!(numbers, T => self.fused::<T>(activation)?));
        }
        match self {
            Self::Apart(gate, up) => Ok((activation.forward(gate)? * up)?),
            Self::Joint(both) => {
                let width = both.dim(D::Minus1)? / 2;
                let half = |start| both.narrow(D::Minus1, start, width);
                Ok((activation.forward(&half(0)?)? * half(width)?)?)
            }
        }
    }

    /// In one pass over all cores.
    fn fused<T: Element + WithDType>(self, activation: Activation) -> candle_core::Result<Tensor> {
        let mut shape = match self {
            Self::Apart(t, _) | Self::Joint(t) => t.dims().to_vec(),
        };
        let activation = activation.into();
        let of = |shape: &[usize], gated: &Gated<'_, T>| {
            written(shape.iter().product(), |out| Ok::<_, candle_core::Error>(gated.apply(out)))
        };
        let width = shape.last().copied().unwrap_or(0);
        let out = match self {
            Self::Apart(gate, up) => {
                let (gate, up) = (Values::of(gate, &shape)?, Values::of(up, &shape)?);
                let (gate, up) = (gate.read()?, up.read()?);
                let gated = Gated { activation, gate: gate.values()?, up: up.values()?, width, step: width };
                of(&shape, &gated)?
            }
            Self::Joint(both) => {
                let both = Values::of(both, &shape)?;
                let both = both.read()?;
                let both: &[T] = both.values()?;
                let width = width / 2;
                if let Some(last) = shape.last_mut() {
                    *last = width;
                }
                let up = both.get(width..).unwrap_or_default();
                of(&shape, &Gated { activation, gate: both, up, width, step: 2 * width })?
            }
        };
        Tensor::from_vec(out, shape, &Device::Cpu)
    }
}
