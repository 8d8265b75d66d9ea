//! Linear maps on the way of a gradient: the forward pass of inference, and a backward pass by the same kernels.
//!
//! A map that is trained is packed anew in each pass, as its numbers change between two. One that is not keeps its panels
//! or blocks, gives the gradient of its input alone, and holds no copy of its weights for that.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use candle_core::{DType, Device, Tensor, WithDType};
use zoo_core::Result;
use zoo_kernels::{Element, Packed, sum_rows, written};

use super::{Epilogue, Linear, Normed, Residual, Weight};
use crate::activation::Activation;
use crate::dispatch::{self, with};
use crate::graph::{self, Fresh, Sink};
use crate::norm::{AnyNorm, Parts};
use crate::values::{Slice, Values};

/// What a product reads in a pass with gradients.
pub(crate) enum Still {
    Panels(Arc<Packed>),
    Quantised(Arc<zoo_kernels::quant::Quantised>),
}

impl Linear {
    /// Whether the kernels read its numbers beside activations of this dtype.
    pub(crate) fn fits(&self, dtype: DType) -> bool {
        let fits = |t: &Tensor| t.device().is_cpu() && t.dtype() == dtype;
        // What is learnt beside the weights is no part of these passes.
        self.difference.is_none()
            && self.bias.as_ref().is_none_or(fits)
            && match self.weight() {
                Weight::Plain(weight) => fits(&weight),
                Weight::Packed(_, packed) => packed == dtype,
                Weight::Quantised(_) => true,
            }
    }

    /// Whether a gradient flows to its weights or its bias.
    pub(crate) fn trains(&self) -> bool {
        let weight = self.weight.read().unwrap_or_else(PoisonError::into_inner);
        dispatch::tracked(&self.bias) || matches!(&*weight, Weight::Plain(weight) if weight.track_op())
    }

    /// Weights that are a tensor, and the bias.
    pub(crate) fn tensors(&self) -> Vec<Tensor> {
        let weight = match self.weight() {
            Weight::Plain(weight) => Some(weight),
            _ => None,
        };
        weight.into_iter().chain(self.bias.clone()).collect()
    }

    /// The map with what follows it, with a backward pass of its own; `None` where candle must compute.
    pub(super) fn run_tracked(
        &self,
        norm: Option<AnyNorm<'_>>,
        x: &Tensor,
        epilogue: Epilogue<'_>,
    ) -> Result<Option<Tensor>> {
        let Epilogue { activation, residual } = epilogue;
        let others = residual.into_iter().flat_map(Residual::tensors);
        let parameters = norm.into_iter().flat_map(AnyNorm::parameters);
        let others: Vec<&Tensor> = others.chain(parameters).collect();
        let Some(numbers) = dispatch::trained(x, &others, &[self]) else { return Ok(None) };
        let Some(norm) =
            norm.map_or(Ok(Some(None)), |norm| Ok::<_, zoo_core::Error>(norm.parts()?.map(Some)))?
        else {
            return Ok(None);
        };
        Ok(Some(with!(numbers, T => self.tracked::<T>(norm, x, (activation, residual), &others)?)))
    }

    fn tracked<T: Element + WithDType>(
        &self,
        norm: Option<Parts>,
        x: &Tensor,
        (activation, residual): (Option<Activation>, Option<Residual<'_>>),
        others: &[&Tensor],
    ) -> candle_core::Result<Tensor> {
        let still = self.still::<T>()?;
        let normed = norm.as_ref().map(|norm| norm.compute::<T>(x)).transpose()?;
        let input = normed.as_ref().unwrap_or(x);
        let (out, before) = match activation {
            None => (self.compute::<T>(&still, input, residual)?, None),
            Some(activation) => {
                let before = self.compute::<T>(&still, input, None)?.tensor();
                let out = activated::<T>(activation, &before)?;
                let out = match residual {
                    None => out,
                    Some(Residual { shortcut, scale }) => {
                        let branch = match scale {
                            Some(scale) => out.tensor().broadcast_mul(&scale.detach())?,
                            None => out.tensor(),
                        };
                        Fresh::copied(&(shortcut.detach() + branch)?)?
                    }
                };
                (out, Some((activation, before)))
            }
        };
        drop((still, normed));
        let own = self.tensors();
        let inputs: Vec<&Tensor> = [x].into_iter().chain(others.iter().copied()).chain(&own).collect();
        let (map, source) = (self.clone(), x.clone());
        let shortcut = residual.map(|r| r.shortcut.clone());
        let scale = residual.and_then(|r| r.scale).cloned();
        graph::operation("linear map", inputs, out, move |gradient, sink| {
            if let Some(shortcut) = &shortcut {
                sink.add(shortcut, gradient.clone())?;
            }
            let normed = norm.as_ref().map(|norm| norm.compute::<T>(&source)).transpose()?;
            let input = normed.as_ref().unwrap_or(&source);
            let wants = sink.wants(&source) || norm.as_ref().is_some_and(|norm| norm.trains());
            let pulled = match &before {
                None => map.pull_scaled::<T>(input, gradient, scale.as_ref(), wants, sink)?,
                Some((activation, before)) => {
                    let mut gradient = gradient.clone();
                    if let Some(scale) = &scale {
                        if sink.wants(scale) {
                            let value = activated::<T>(*activation, before)?.tensor();
                            sink.add(scale, column_sums::<T>(&(value * &gradient)?)?)?;
                        }
                        gradient = gradient.broadcast_mul(&scale.detach())?;
                    }
                    let gradient = deactivated::<T>(*activation, before, &gradient)?;
                    map.pull::<T>(input, &gradient, wants, None, sink)?
                }
            };
            match (pulled, &norm) {
                (Some(pulled), Some(norm)) => norm.pull::<T>(&source, &pulled, None, sink),
                (Some(pulled), None) => sink.add(&source, pulled),
                (None, _) => Ok(()),
            }
        })
    }

    /// What products read of the weights as they are.
    pub(crate) fn still<T: Element + WithDType>(&self) -> candle_core::Result<Still> {
        Ok(match self.weight() {
            Weight::Packed(packed, _) => Still::Panels(packed),
            Weight::Quantised(weights) => Still::Quantised(weights),
            // For this pass only: what is trained has other numbers in the next.
            Weight::Plain(weight) if weight.track_op() => {
                let (outputs, inputs) = weight.dims2()?;
                let values = Values::of(&weight.detach(), weight.dims())?;
                Still::Panels(Arc::new(Packed::new(values.read()?.values::<T>()?, outputs, inputs)))
            }
            Weight::Plain(_) => match self.panels::<T>().map_err(candle_core::Error::wrap)? {
                Some(packed) => Still::Panels(packed),
                None => candle_core::bail!("a map whose weights no kernel reads"),
            },
        })
    }

    /// The map, without a graph.
    pub(crate) fn compute<T: Element + WithDType>(
        &self,
        still: &Still,
        x: &Tensor,
        residual: Option<Residual<'_>>,
    ) -> candle_core::Result<Fresh> {
        let epilogue = Epilogue { activation: None, residual };
        match still {
            Still::Panels(packed) => self.fused::<T>(&Normed { norm: None, packed }, x, epilogue),
            Still::Quantised(weights) => self.fused::<T>(&**weights, x, epilogue),
        }
    }

    /// Leaves the gradients of weights and bias for the input `x` and the gradient of what the map made of it, and gives
    /// that of the input, if somebody `wants` it, with `plus` added.
    pub(crate) fn pull<T: Element + WithDType>(
        &self,
        x: &Tensor,
        gradient: &Tensor,
        wants: bool,
        plus: Option<&Tensor>,
        sink: &mut Sink,
    ) -> candle_core::Result<Option<Tensor>> {
        if let Some(bias) = &self.bias {
            sink.give(bias, || column_sums::<T>(gradient))?;
        }
        let weight = self.weight();
        if let Weight::Plain(weight) = &weight {
            sink.give(weight, || weight_gradient::<T>(x, gradient))?;
        }
        if !wants {
            return Ok(None);
        }
        input_gradient::<T>(gradient, &turned::<T>(&weight)?, plus).map(Some)
    }

    /// As [`Linear::pull`] of a map whose result is multiplied by `scale`, of which it leaves the gradient too.
    pub(crate) fn pull_scaled<T: Element + WithDType>(
        &self,
        x: &Tensor,
        gradient: &Tensor,
        scale: Option<&Tensor>,
        wants: bool,
        sink: &mut Sink,
    ) -> candle_core::Result<Option<Tensor>> {
        let Some(scale) = scale else { return self.pull::<T>(x, gradient, wants, None, sink) };
        let plain = scale.detach();
        if sink.wants(scale) {
            // Σ g (x Wᵀ + b) over rows is the sum of W · (gᵀ x) over inputs, and b Σ g: what the map gave need not be
            // known, and gᵀ x is what the gradient of the weights is made of.
            let product = weight_gradient::<T>(x, gradient)?;
            let wide = |t: &Tensor| t.detach().to_dtype(DType::F32);
            let matrix = self.matrix().map_err(candle_core::Error::wrap)?;
            let mut slope = (wide(&matrix)? * wide(&product)?)?.sum(1)?;
            if let Some(bias) = &self.bias {
                let sums = column_sums::<T>(gradient)?;
                slope = (slope + (wide(bias)? * wide(&sums)?)?)?;
                sink.give(bias, || sums * wide(&plain)?)?;
            }
            sink.add(scale, slope)?;
            if let Weight::Plain(weight) = &self.weight() {
                sink.give(weight, || product.broadcast_mul(&plain.unsqueeze(1)?))?;
            }
            if !wants {
                return Ok(None);
            }
            let gradient = gradient.broadcast_mul(&plain)?;
            return input_gradient::<T>(&gradient, &turned::<T>(&self.weight())?, None).map(Some);
        }
        self.pull::<T>(x, &gradient.broadcast_mul(&plain)?, wants, None, sink)
    }
}

/// Weights of which some rows are multiplied at a time.
pub(crate) enum HeadRows {
    Plain(Tensor, Option<Tensor>),
    Panels(Arc<Packed>, Option<Tensor>),
    /// `[rows, inputs]`.
    Decoded(Vec<f32>, usize, Option<Tensor>),
}

impl HeadRows {
    /// All rows.
    pub fn count(&self) -> usize {
        match self {
            Self::Plain(weight, _) => weight.dims().first().copied().unwrap_or(0),
            Self::Panels(packed, _) => packed.outputs(),
            Self::Decoded(numbers, inputs, _) => numbers.len() / (*inputs).max(1),
        }
    }

    /// Hands some rows and their bias on.
    pub fn with_bias<T: Element + WithDType, R>(
        &self,
        rows: Range<usize>,
        run: impl FnOnce(&Packed, Option<&[T]>) -> R,
    ) -> candle_core::Result<R> {
        let (Self::Plain(_, bias) | Self::Panels(_, bias) | Self::Decoded(_, _, bias)) = self;
        let bias = bias.as_ref().map(|bias| Values::of(bias, bias.dims())).transpose()?;
        let bias = bias.as_ref().map(Values::read).transpose()?;
        let bias = bias.as_ref().map(Slice::values::<T>).transpose()?;
        let packed = self.packed::<T>(rows.clone())?;
        Ok(run(&packed, bias.map(|bias| &bias[rows])))
    }

    fn packed<T: Element + WithDType>(&self, rows: Range<usize>) -> candle_core::Result<Packed> {
        Ok(match self {
            Self::Plain(weight, _) => {
                let (_, inputs) = weight.dims2()?;
                let values = Values::of(weight, weight.dims())?;
                let values = values.read()?;
                let part = &values.values::<T>()?[rows.start * inputs..rows.end * inputs];
                Packed::new(part, rows.len(), inputs)
            }
            Self::Panels(packed, _) => {
                let inputs = packed.inputs();
                Packed::read(rows.len(), inputs, |first, out: &mut [T]| {
                    for (r, out) in out.chunks_exact_mut(inputs.max(1)).enumerate() {
                        packed.row(rows.start + first + r, out);
                    }
                })
            }
            Self::Decoded(numbers, inputs, _) => {
                Packed::new(&numbers[rows.start * inputs..rows.end * inputs], rows.len(), *inputs)
            }
        })
    }

    /// Some rows, transposed.
    pub fn turned<T: Element + WithDType>(&self, rows: Range<usize>) -> candle_core::Result<Packed> {
        Ok(match self {
            Self::Plain(weight, _) => {
                let (_, inputs) = weight.dims2()?;
                let values = Values::of(weight, weight.dims())?;
                let values = values.read()?;
                let part = &values.values::<T>()?[rows.start * inputs..rows.end * inputs];
                Packed::transposed(part, inputs, rows.len())
            }
            Self::Panels(..) => self.packed::<T>(rows)?.transpose::<T>(),
            Self::Decoded(numbers, inputs, _) => {
                Packed::transposed(&numbers[rows.start * inputs..rows.end * inputs], *inputs, rows.len())
            }
        })
    }
}

impl Linear {
    /// The weights, of which some rows are to be multiplied at a time.
    pub(crate) fn rows_of(&self) -> HeadRows {
        let bias = self.bias.as_ref().map(Tensor::detach);
        match self.weight() {
            Weight::Plain(weight) => HeadRows::Plain(weight.detach(), bias),
            Weight::Packed(packed, _) => HeadRows::Panels(packed, bias),
            Weight::Quantised(weights) => HeadRows::Decoded(weights.decode(), weights.inputs(), bias),
        }
    }

    /// Leaves gradients that were made elsewhere.
    pub(crate) fn leave(&self, weight: Tensor, bias: Tensor, sink: &mut Sink) -> candle_core::Result<()> {
        if let Some(own) = &self.bias {
            sink.add(own, bias)?;
        }
        match &self.weight() {
            Weight::Plain(own) => sink.add(own, weight),
            _ => Ok(()),
        }
    }
}

/// The transposed weights, for one product.
fn turned<T: Element + WithDType>(weight: &Weight) -> candle_core::Result<Packed> {
    Ok(match weight {
        Weight::Packed(packed, _) => packed.transpose::<T>(),
        Weight::Quantised(weights) => {
            Packed::transposed(&weights.decode(), weights.inputs(), weights.outputs())
        }
        Weight::Plain(weight) => {
            let (outputs, inputs) = weight.dims2()?;
            let values = Values::of(&weight.detach(), weight.dims())?;
            Packed::transposed(values.read()?.values::<T>()?, inputs, outputs)
        }
    })
}

/// `gradientᵀ x`, `[out, in]`.
pub(crate) fn weight_gradient<T: Element + WithDType>(
    x: &Tensor,
    gradient: &Tensor,
) -> candle_core::Result<Tensor> {
    let last = |t: &Tensor| t.dims().last().copied().unwrap_or(1).max(1);
    let (inputs, outputs) = (last(x), last(gradient));
    let rows = x.elem_count() / inputs;
    let (x, gradient) = (Values::of(x, x.dims())?, Values::of(gradient, gradient.dims())?);
    let (x, gradient) = (x.read()?, gradient.read()?);
    let packed = Packed::transposed(x.values::<T>()?, inputs, rows);
    let gradient = gradient.values::<T>()?;
    let out = written(outputs * inputs, |out| {
        Ok::<_, candle_core::Error>(packed.apply_transposed(gradient, &zoo_kernels::Epilogue::default(), out))
    })?;
    Tensor::from_vec(out, (outputs, inputs), &Device::Cpu)
}

/// `gradient · W` with what is added, in the shape of the gradient but for the last axis.
fn input_gradient<T: Element + WithDType>(
    gradient: &Tensor,
    turned: &Packed,
    plus: Option<&Tensor>,
) -> candle_core::Result<Tensor> {
    let mut shape = gradient.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = turned.outputs();
    }
    let (gradient, plus) =
        (Values::of(gradient, gradient.dims())?, plus.map(|plus| Values::of(plus, &shape)).transpose()?);
    let (gradient, plus) = (gradient.read()?, plus.as_ref().map(Values::read).transpose()?);
    let shortcut = plus.as_ref().map(Slice::values::<T>).transpose()?;
    let residual = shortcut.map(|shortcut| zoo_kernels::Residual { shortcut, scale: None });
    let epilogue = zoo_kernels::Epilogue { residual, ..Default::default() };
    let gradient = gradient.values::<T>()?;
    let out = written(shape.iter().product(), |out| {
        Ok::<_, candle_core::Error>(turned.apply(gradient, &epilogue, out))
    })?;
    Tensor::from_vec(out, shape, &Device::Cpu)
}

/// The sums over all but the last axis, in f32.
pub(crate) fn column_sums<T: Element + WithDType>(x: &Tensor) -> candle_core::Result<Tensor> {
    let columns = x.dims().last().copied().unwrap_or(1).max(1);
    let values = Values::of(x, x.dims())?;
    let mut sums = vec![0f32; columns];
    sum_rows(values.read()?.values::<T>()?, &mut sums);
    Tensor::from_vec(sums, columns, &Device::Cpu)
}

/// The activated numbers.
pub(crate) fn activated<T: Element + WithDType>(
    activation: Activation,
    x: &Tensor,
) -> candle_core::Result<Fresh> {
    let values = Values::of(x, x.dims())?;
    let values = values.read()?;
    let values = values.values::<T>()?;
    let activation = zoo_kernels::Activation::from(activation);
    let out = written(values.len(), |out| Ok::<_, candle_core::Error>(activation.map(values, out)))?;
    Ok(Fresh::new(out, x.shape()))
}

/// The gradient of what was activated.
pub(crate) fn deactivated<T: Element + WithDType>(
    activation: Activation,
    x: &Tensor,
    gradient: &Tensor,
) -> candle_core::Result<Tensor> {
    let (values, slopes) = (Values::of(x, x.dims())?, Values::of(gradient, x.dims())?);
    let (values, slopes) = (values.read()?, slopes.read()?);
    let (values, slopes) = (values.values::<T>()?, slopes.values::<T>()?);
    let activation = zoo_kernels::Activation::from(activation);
    let out =
        written(values.len(), |out| Ok::<_, candle_core::Error>(activation.gradient(values, slopes, out)))?;
    Tensor::from_vec(out, x.shape(), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    /// What a pass with gradients gives beside what it gives without.
    #[test]
    fn the_forward_pass_is_that_of_inference() {
        let tensor = |shape: &[usize]| {
            let numbers = (0..shape.iter().product()).map(|i: usize| ((i * 37 % 101) as f32 - 50.0) / 40.0);
            Tensor::from_vec(numbers.collect(), shape, &Device::Cpu).unwrap()
        };
        let (weight, bias, x) = (tensor(&[5, 7]), tensor(&[5]), tensor(&[2, 3, 7]));
        let of = |t: &Tensor| Var::from_tensor(t).unwrap().into_inner();
        let bits = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let plain = Linear::new(weight.clone(), Some(bias.clone())).forward(&x).unwrap();
        for (weight, bias, x) in [
            (of(&weight), bias.clone(), x.clone()),
            (weight.clone(), of(&bias), x.clone()),
            (weight.clone(), bias.clone(), of(&x)),
            (of(&weight), of(&bias), of(&x)),
        ] {
            let out = Linear::new(weight, Some(bias)).forward(&x).unwrap();
            assert!(out.track_op() && bits(&out) == bits(&plain));
        }
    }
}
