//! Depthwise convolution over channels-last maps.
//!
//! candle's grouped convolution runs one single-channel convolution per group, thousands in a ConvNeXt, so the CPU has
//! a kernel of its own, which also applies the norm that follows.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, WithDType};
use half::bf16;
use zoo_core::Result;
use zoo_core::weights::{Init, Params};
use zoo_kernels::{Element, Maps, written};

use crate::dispatch::{self, Numbers, Path};
use crate::graph::{self, Fresh};
use crate::linear::pull::column_sums;
use crate::norm::{AnyNorm, LayerNorm};
use crate::values::Values;

/// A depthwise convolution of stride 1 with an odd square kernel, zero padding that keeps the size, and a bias. Sums
/// are f32.
#[derive(Debug, Clone)]
pub struct Depthwise {
    form: Form,
    kernel: usize,
}

#[derive(Debug, Clone)]
enum Form {
    /// `[C, 1, k, k]` and `[C]`, for other devices and for gradients.
    Tensors(Tensor, Tensor),
    /// Made of taps of this dtype: those of f32 take any maps.
    Kernel(Arc<zoo_kernels::Depthwise>, DType),
}

impl Depthwise {
    /// Reads `weight` `[channels, 1, kernel, kernel]` and `bias` `[channels]` at `params`. `kernel` is odd.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, kernel: usize) -> Result<Self> {
        let init = Init::fan_in(kernel * kernel);
        let weight = params.get("weight", (channels, 1, kernel, kernel), init)?;
        let bias = params.get("bias", channels, init)?;
        Self::new(&weight, &bias)
    }

    /// From `weight` `[C, 1, k, k]` with odd `k`, and `bias` `[C]`.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the shapes are not these.
    pub fn new(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let (_, _, kernel, _) = weight.dims4()?;
        let form = if !dispatch::plain([weight, bias]) {
            Form::Tensors(weight.to_dtype(DType::F32)?, bias.to_dtype(DType::F32)?)
        } else if weight.dtype() == DType::BF16 && bias.dtype() == DType::BF16 {
            packed::<bf16>(weight, bias, kernel)?
        } else {
            packed::<f32>(&weight.to_dtype(DType::F32)?, &bias.to_dtype(DType::F32)?, kernel)?
        };
        Ok(Self { form, kernel })
    }

    /// `[B, H, W, C]` to the same shape and dtype, followed by `norm`; rounded once. Differentiable.
    ///
    /// The kernel takes maps on a CPU whose dtype is that of the weights and the norm; weights of f32 also take maps of
    /// bf16. With gradients on a CPU the convolution is of f32, by the same kernel. All else, such as maps of f32 with
    /// weights of bf16, goes through candle's grouped convolution, which is slow.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the channels do not fit.
    pub fn forward(&self, x: &Tensor, norm: &LayerNorm) -> Result<Tensor> {
        let tensors = std::iter::once(x).chain(AnyNorm::from(norm).parameters());
        match (&self.form, Path::of(tensors)) {
            (Form::Kernel(kernel, DType::F32), Path::Kernel(Numbers::F32)) => {
                Ok(fused::<f32>(kernel, x, norm)?)
            }
            (Form::Kernel(kernel, _), Path::Kernel(Numbers::Bf16)) => Ok(fused::<bf16>(kernel, x, norm)?),
            _ => {
                norm.forward(&self.plain(&x.to_dtype(DType::F32)?)?)?.to_dtype(x.dtype()).map_err(Into::into)
            }
        }
    }

    /// The convolution of f32, by the kernel with a backward pass of its own or by candle.
    fn plain(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = match &self.form {
            Form::Tensors(weight, bias) => (weight.clone(), bias.clone()),
            Form::Kernel(kernel, _) => {
                let shape = (kernel.channels(), 1, self.kernel, self.kernel);
                let (weight, bias) = kernel.parameters();
                (Tensor::from_vec(weight, shape, x.device())?, Tensor::new(bias, x.device())?)
            }
        };
        if let Path::Tracked(Numbers::F32) = Path::of([x, &weight, &bias]) {
            return Ok(tracked(x, &weight, &bias, self.kernel)?);
        }
        let planes = x.permute((0, 3, 1, 2))?.contiguous()?;
        let planes = planes.conv2d(&weight, self.kernel / 2, 1, 1, bias.elem_count())?;
        Ok(planes.permute((0, 2, 3, 1))?.broadcast_add(&bias)?)
    }
}

/// The convolution alone, in a pass with gradients.
fn tracked(x: &Tensor, weight: &Tensor, bias: &Tensor, side: usize) -> candle_core::Result<Tensor> {
    let (images, height, width, channels) = x.dims4()?;
    if bias.elem_count() != channels {
        candle_core::bail!("depthwise: {} channels, but x is {:?}", bias.elem_count(), x.dims());
    }
    let maps = Maps { images, height, width };
    let taps = weight.detach().flatten_all()?.to_vec1::<f32>()?;
    let convolved = move |taps: &[f32], bias: &[f32], x: &Tensor| {
        let kernel = zoo_kernels::Depthwise::new(taps, bias, side);
        let values = Values::of(x, x.dims())?;
        let values = values.read()?;
        let values = values.values::<f32>()?;
        written(values.len(), |out| Ok::<_, candle_core::Error>(kernel.apply(values, maps, None, out)))
    };
    let out = Fresh::new(convolved(&taps, &bias.detach().to_vec1::<f32>()?, x)?, x.shape());
    let kept = [x, weight, bias].map(Tensor::clone);
    graph::operation("depthwise convolution", [x, weight, bias], out, move |gradient, sink| {
        let [x, weight, bias] = &kept;
        sink.give(bias, || column_sums::<f32>(gradient))?;
        sink.give(weight, || {
            let (values, slopes) = (Values::of(x, x.dims())?, Values::of(gradient, x.dims())?);
            let (values, slopes) = (values.read()?, slopes.read()?);
            let mut out = vec![0f32; weight.elem_count()];
            zoo_kernels::Depthwise::tap_gradients(
                side,
                values.values::<f32>()?,
                slopes.values()?,
                maps,
                &mut out,
            );
            Tensor::from_vec(out, weight.shape(), &Device::Cpu)
        })?;
        sink.give(x, || {
            // What a tap took from one side goes back to the other.
            let turned: Vec<f32> =
                taps.chunks(side * side).flat_map(|taps| taps.iter().rev().copied()).collect();
            let out = convolved(&turned, &vec![0.0; channels], gradient)?;
            Tensor::from_vec(out, x.shape(), &Device::Cpu)
        })
    })
}

fn packed<T: Element + WithDType>(
    weight: &Tensor,
    bias: &Tensor,
    kernel: usize,
) -> candle_core::Result<Form> {
    let (weight, bias) = (weight.flatten_all()?.to_vec1::<T>()?, bias.to_vec1::<T>()?);
    Ok(Form::Kernel(Arc::new(zoo_kernels::Depthwise::new(&weight, &bias, kernel)), T::DTYPE))
}

fn fused<T: Element + WithDType>(
    kernel: &zoo_kernels::Depthwise,
    x: &Tensor,
    norm: &LayerNorm,
) -> candle_core::Result<Tensor> {
    let (images, height, width, channels) = x.dims4()?;
    if channels != kernel.channels() {
        candle_core::bail!("depthwise: {} channels, but x is {:?}", kernel.channels(), x.dims());
    }
    let x = Values::of(x, x.dims())?;
    let x = x.read()?;
    let x: &[T] = x.values()?;
    let maps = Maps { images, height, width };
    let out = written(x.len(), |out| {
        AnyNorm::from(norm).with(channels, |norm| kernel.apply(x, maps, Some(*norm), out))
    })?;
    Tensor::from_vec(out, (images, height, width, channels), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;

    fn noise(shape: &[usize], seed: usize) -> Tensor {
        let count: usize = shape.iter().product();
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1013) as f32 / 506.0 - 1.0;
        Tensor::from_vec((0..count).map(value).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
    }

    /// The kernel beside candle's convolution and norm, which gradients go through.
    #[test]
    fn both_paths_agree() {
        let x = noise(&[2, 9, 13, 12], 1);
        let (weight, bias) = (noise(&[12, 1, 7, 7], 2), noise(&[12], 3));
        let norm = LayerNorm::new(noise(&[12], 4), noise(&[12], 5), 1e-6);
        let kernel = Depthwise::new(&weight, &bias).unwrap();
        let fused = kernel.forward(&x, &norm).unwrap();
        let tracked = Var::from_tensor(&x).unwrap();
        let by_kernel = kernel.forward(tracked.as_tensor(), &norm).unwrap();
        let weight = Var::from_tensor(&weight).unwrap();
        let by_tensors = Depthwise::new(weight.as_tensor(), &bias).unwrap().forward(&x, &norm).unwrap();
        assert!(by_kernel.track_op() && by_tensors.track_op() && !fused.track_op());
        for other in [by_kernel, by_tensors] {
            let gap = (&fused - other).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(gap < 1e-4, "{gap}");
        }
    }

    /// Weights of bf16, which the kernel may hold in pairs, take maps of either dtype.
    #[test]
    fn narrow_weights_take_all_maps() {
        let narrow = |t: Tensor| t.to_dtype(DType::BF16).unwrap();
        let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
        let (weight, bias) = (narrow(noise(&[12, 1, 7, 7], 2)), narrow(noise(&[12], 3)));
        let (gain, shift) = (narrow(noise(&[12], 4)), narrow(noise(&[12], 5)));
        let x = narrow(noise(&[1, 5, 9, 12], 1));
        let kernel = Depthwise::new(&weight, &bias).unwrap();
        let norm = LayerNorm::new(wide(&gain), wide(&shift), 1e-6);
        let exact = Depthwise::new(&wide(&weight), &wide(&bias)).unwrap().forward(&wide(&x), &norm).unwrap();
        let gap = |other: &Tensor| {
            let gap = (&exact - wide(other)).unwrap().abs().unwrap();
            gap.max_all().unwrap().to_scalar::<f32>().unwrap()
        };
        assert!(gap(&kernel.forward(&wide(&x), &norm).unwrap()) < 1e-4);
        let rounded = gap(&kernel.forward(&x, &LayerNorm::new(gain, shift, 1e-6)).unwrap());
        assert!(rounded < 2e-2 && rounded > 0.0, "{rounded}");
    }

    #[test]
    fn wrong_channels_are_refused() {
        let norm = LayerNorm::new(noise(&[4], 4), noise(&[4], 5), 1e-6);
        let conv = Depthwise::new(&noise(&[4, 1, 3, 3], 1), &noise(&[4], 2)).unwrap();
        let error = conv.forward(&noise(&[1, 5, 5, 6], 3), &norm).unwrap_err().to_string();
        assert!(error.contains("depthwise: 4 channels"), "{error}");
    }
}
