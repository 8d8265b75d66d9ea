//! The activated product inside gated feed-forward networks.

use candle_core::{D, Device, Tensor, WithDType};
use zoo_core::Result;
use zoo_kernels::{Element, Gated, written, zeros};

use crate::activation::Activation;
use crate::dispatch::{Path, with};
use crate::graph::{self, Fresh};
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
        match Path::of([first, second]) {
            Path::Kernel(numbers) => {
                return Ok(with!(numbers, T => self.fused::<T>(activation)?.tensor()));
            }
            Path::Tracked(numbers) => return Ok(with!(numbers, T => self.tracked::<T>(activation)?)),
            Path::Candle => {}
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

    fn tracked<T: Element + WithDType>(self, activation: Activation) -> candle_core::Result<Tensor> {
        let out = self.fused::<T>(activation)?;
        match self {
            Self::Apart(gate, up) => {
                let kept = [gate.clone(), up.clone()];
                graph::operation("gated product", [gate, up], out, move |gradient, sink| {
                    let [gate, up] = &kept;
                    let [to_gate, to_up] = gradients::<T>(activation, gate, up, gradient)?;
                    sink.add(gate, to_gate)?;
                    sink.add(up, to_up)
                })
            }
            Self::Joint(both) => {
                let kept = both.clone();
                graph::operation("gated product", [both], out, move |gradient, sink| {
                    let (values, slopes) =
                        (Values::of(&kept, kept.dims())?, Values::of(gradient, gradient.dims())?);
                    let (values, slopes) = (values.read()?, slopes.read()?);
                    let values = values.values::<T>()?;
                    let width = gradient.dim(D::Minus1)?;
                    let up = values.get(width..).unwrap_or_default();
                    let gated =
                        Gated { activation: activation.into(), gate: values, up, width, step: 2 * width };
                    let mut out = zeros::<T>(values.len());
                    gated.gradient_joint(slopes.values()?, &mut out);
                    sink.add(&kept, Tensor::from_vec(out, kept.shape(), &Device::Cpu)?)
                })
            }
        }
    }

    /// In one pass over all cores.
    pub(crate) fn fused<T: Element + WithDType>(self, activation: Activation) -> candle_core::Result<Fresh> {
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
        Ok(Fresh::new(out, shape))
    }
}

/// Those of gate and up, of one shape with the gradient of their product.
pub(crate) fn gradients<T: Element + WithDType>(
    activation: Activation,
    gate: &Tensor,
    up: &Tensor,
    gradient: &Tensor,
) -> candle_core::Result<[Tensor; 2]> {
    let [gate_values, up_values, slopes] = [gate, up, gradient].map(|t| Values::of(t, gate.dims()));
    let (gate_values, up_values, slopes) = (gate_values?, up_values?, slopes?);
    let (gate_values, up_values, slopes) = (gate_values.read()?, up_values.read()?, slopes.read()?);
    let width = gate.dim(D::Minus1)?;
    let (gate_values, up_values) = (gate_values.values::<T>()?, up_values.values::<T>()?);
    let gated = Gated { activation: activation.into(), gate: gate_values, up: up_values, width, step: width };
    let (mut to_gate, mut to_up) = (zeros::<T>(gate_values.len()), zeros::<T>(gate_values.len()));
    gated.gradient(slopes.values()?, &mut to_gate, &mut to_up);
    let tensor = |numbers| Tensor::from_vec(numbers, gate.shape(), &Device::Cpu);
    Ok([tensor(to_gate)?, tensor(to_up)?])
}
