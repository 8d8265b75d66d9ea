//! GroupNorm (arXiv 1803.08494) over channels-last maps, always computed in f32.

use candle_core::{DType, Device, Tensor, WithDType};
use rayon::prelude::*;
use zoo_core::weights::{Init, Params};
use zoo_core::{Error, Result};
use zoo_kernels::{Element, zeros};

use crate::activation::Activation;
use crate::dispatch::{Path, with};
use crate::values::Values;

/// Cells whose sums are added up together: at fixed places, so that threads change no result.
const CELLS: usize = 128;

/// Mean and variance over all cells and the channels of a group, then a scale and a shift for each channel. Tensors:
/// `weight` and `bias`, `[channels]`.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// Reads `weight` and `bias` at `params`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the channels do not fall into so many groups; those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, groups: usize, eps: f64) -> Result<Self> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(Error::invalid(format!("{channels} channels do not fall into {groups} groups")));
        }
        let weight = params.get("weight", channels, Init::Const(1.0))?;
        let bias = params.get("bias", channels, Init::Const(0.0))?;
        Ok(Self { weight, bias, groups, eps })
    }

    /// `[B, H, W, C]` or `[B, N, C]` to the same shape and dtype, followed by `activation`. Differentiable.
    ///
    /// # Errors
    /// [`Error::Tensor`] when the channels do not fit.
    pub fn forward(&self, x: &Tensor, activation: Option<Activation>) -> Result<Tensor> {
        match Path::of([x, &self.weight, &self.bias]) {
            Path::Kernel(numbers) => Ok(with!(numbers, T => self.fused::<T>(x, activation)?)),
            _ => self.plain(x, activation),
        }
    }

    fn fused<T: Element + WithDType>(
        &self,
        x: &Tensor,
        activation: Option<Activation>,
    ) -> candle_core::Result<Tensor> {
        let channels = self.weight.elem_count();
        let batch = x.dims().first().copied().unwrap_or(0);
        if x.dims().last() != Some(&channels) || batch == 0 {
            candle_core::bail!("GroupNorm of {channels} channels, but x is {:?}", x.dims());
        }
        let values = Values::of(x, x.dims())?;
        let [weight, bias] = [&self.weight, &self.bias].map(|t| t.to_dtype(DType::F32)?.to_vec1::<f32>());
        let (weight, bias, slice) = (weight?, bias?, values.read()?);
        let numbers = slice.values::<T>()?;
        let image = numbers.len() / batch;
        let mut out = zeros::<T>(numbers.len());
        if image == 0 {
            return Tensor::from_vec(out, x.shape(), &Device::Cpu);
        }
        for (numbers, out) in numbers.chunks_exact(image).zip(out.chunks_exact_mut(image)) {
            let (scale, shift) = self.factors(numbers, &weight, &bias);
            let parts = out.par_chunks_mut(CELLS * channels).zip(numbers.par_chunks(CELLS * channels));
            parts.for_each_init(
                || (vec![0f32; channels], vec![0f32; channels]),
                |(normed, active), (out, numbers)| {
                    for (out, x) in out.chunks_exact_mut(channels).zip(numbers.chunks_exact(channels)) {
                        for (c, normed) in normed.iter_mut().enumerate() {
                            *normed = x[c].widen() * scale[c] + shift[c];
                        }
                        let result: &[f32] = match activation {
                            Some(activation) => zoo_kernels::Activation::from(activation)
                                .map(normed.as_slice(), active.as_mut_slice()),
                            None => normed,
                        };
                        out.iter_mut().zip(result).for_each(|(out, x)| *out = T::round(*x));
                    }
                },
            );
        }
        Tensor::from_vec(out, x.shape(), &Device::Cpu)
    }

    /// What each channel of an image is multiplied by and what is added.
    fn factors<T: Element>(&self, numbers: &[T], weight: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let channels = weight.len();
        let (group, cells) = (channels / self.groups, numbers.len() / channels);
        // Of each channel: the sum, and the sum of squares.
        let parts: Vec<Vec<[f64; 2]>> = numbers
            .par_chunks(CELLS * channels)
            .map(|part| {
                let mut sums = vec![[0f64; 2]; channels];
                for cell in part.chunks_exact(channels) {
                    for (sums, x) in sums.iter_mut().zip(cell) {
                        let x = f64::from(x.widen());
                        sums[0] += x;
                        sums[1] += x * x;
                    }
                }
                sums
            })
            .collect();
        let (mut scale, mut shift) = (vec![0f32; channels], vec![0f32; channels]);
        for first in (0..channels).step_by(group) {
            let of_group = parts.iter().flat_map(|sums| &sums[first..first + group]);
            let [sum, squares] = of_group.fold([0.0; 2], |[a, b], [x, y]| [a + x, b + y]);
            let count = (cells * group) as f64;
            let mean = sum / count;
            let deviation = ((squares / count - mean * mean).max(0.0) + self.eps).sqrt();
            for c in first..first + group {
                let factor = f64::from(weight[c]) / deviation;
                scale[c] = factor as f32;
                shift[c] = (f64::from(bias[c]) - mean * factor) as f32;
            }
        }
        (scale, shift)
    }

    /// As `fused`, by candle: for other devices and dtypes, and differentiable.
    fn plain(&self, x: &Tensor, activation: Option<Activation>) -> Result<Tensor> {
        let (batch, channels) = (x.dim(0)?, self.weight.elem_count());
        let group = channels / self.groups;
        let wide = x.to_dtype(DType::F32)?.reshape((batch, (), self.groups, group))?;
        let mean = wide.mean_keepdim(3)?.mean_keepdim(1)?;
        let centred = wide.broadcast_sub(&mean)?;
        let variance = centred.sqr()?.mean_keepdim(3)?.mean_keepdim(1)?;
        let unit = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?.reshape(x.shape())?;
        let [weight, bias] = [&self.weight, &self.bias].map(|t| t.to_dtype(DType::F32));
        let out = unit.broadcast_mul(&weight?)?.broadcast_add(&bias?)?;
        let out = match activation {
            Some(activation) => activation.forward(&out)?,
            None => out,
        };
        Ok(out.to_dtype(x.dtype())?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::Var;
    use zoo_core::weights::{Layout, TensorSource, Weights};

    use super::*;

    static LAYOUTS: [Layout; 1] = [Layout {
        name: "test",
        prefixes: &[""],
        marker: "weight",
        map: |name| TensorSource::key(name),
        ignored: &[],
    }];

    fn noise(shape: &[usize], seed: usize) -> Tensor {
        let count: usize = shape.iter().product();
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1013) as f32 / 506.0 - 1.0;
        Tensor::from_vec((0..count).map(value).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
    }

    fn norm(channels: usize, groups: usize) -> Result<GroupNorm> {
        let tensors =
            [("weight", 2), ("bias", 3)].map(|(name, seed)| (name.to_owned(), noise(&[channels], seed)));
        let weights = Weights::tensors(BTreeMap::from(tensors), DType::F32);
        GroupNorm::load(&weights.params(&LAYOUTS, &Device::Cpu)?, channels, groups, 1e-5)
    }

    /// The kernel beside candle's operations, which gradients go through; several parts and a last one that is shorter.
    #[test]
    fn both_paths_agree() {
        let x = (noise(&[2, 19, 17, 12], 1) + 3.0).unwrap();
        let norm = norm(12, 4).unwrap();
        for activation in [None, Some(Activation::Silu)] {
            let fused = norm.forward(&x, activation).unwrap();
            let tracked = Var::from_tensor(&x).unwrap();
            let plain = norm.forward(tracked.as_tensor(), activation).unwrap();
            assert!(plain.track_op() && !fused.track_op());
            let gap = (&fused - plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(gap < 1e-5, "{gap}");
            let alone = norm.forward(&x.narrow(0, 1, 1).unwrap(), activation).unwrap();
            let gap = (fused.narrow(0, 1, 1).unwrap() - alone).unwrap().abs().unwrap().max_all().unwrap();
            assert_eq!(gap.to_scalar::<f32>().unwrap(), 0.0);
        }
    }

    #[test]
    fn groups_must_divide_and_channels_must_fit() {
        let error = norm(12, 5).unwrap_err().to_string();
        assert!(error.contains("12 channels") && error.contains("5 groups"), "{error}");
        let error = norm(12, 4).unwrap().forward(&noise(&[1, 3, 3, 8], 1), None).unwrap_err().to_string();
        assert!(error.contains("12 channels"), "{error}");
    }
}
