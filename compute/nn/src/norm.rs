//! Normalisation over channels, always computed in f32.

use candle_core::{D, DType, Device, Tensor, WithDType};
use zoo_core::Result;
use zoo_core::weights::{Init, Params};
use zoo_kernels::{Element, written};

pub use zoo_kernels::NormKind;

use crate::dispatch::{self, Path, with};
use crate::values::{Slice, Values};

/// LayerNorm over the last axis (arXiv 1607.06450), statistics and scaling in f32 whatever the dtype of the input.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias` `[channels]` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, eps: f64) -> Result<Self> {
        let weight = params.get("weight", channels, Init::Const(1.0))?;
        let bias = params.get("bias", channels, Init::Const(0.0))?;
        Ok(Self::new(weight, bias, eps))
    }

    /// From tensors at hand, `[channels]` each.
    pub fn new(weight: Tensor, bias: Tensor, eps: f64) -> Self {
        Self { weight, bias, eps }
    }

    /// Any shape ending in `channels`; the dtype stays.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(out) = fused(NormKind::Layer, &self.weight, Some(&self.bias), self.eps, x)? {
            return Ok(out);
        }
        let dtype = x.dtype();
        let x = x.to_dtype(DType::F32)?;
        let weight = self.weight.to_dtype(DType::F32)?;
        let bias = self.bias.to_dtype(DType::F32)?;
        let out = if dispatch::tracked([&x, &weight, &bias]) {
            // The fused kernel has no backward pass.
            let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
            let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
            let unit = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
            unit.broadcast_mul(&weight)?.broadcast_add(&bias)?
        } else {
            candle_nn::ops::layer_norm(&x.contiguous()?, &weight, &bias, self.eps as f32)?
        };
        Ok(out.to_dtype(dtype)?)
    }
}

/// RMSNorm over the last axis (arXiv 1910.07467), in f32 whatever the dtype of the input; the weight multiplies
/// before rounding back.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Tensor,
    /// To be added to a weight that is trained, whose value is not known beforehand.
    offset: f64,
    eps: f64,
}

impl RmsNorm {
    /// Reads `weight` `[channels]` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, eps: f64) -> Result<Self> {
        Ok(Self { weight: params.get("weight", channels, Init::Const(1.0))?, offset: 0.0, eps })
    }

    /// Reads `weight` `[channels]` at `params` and multiplies by `1 + weight`, the sum being kept in f32
    /// (`transformers.GemmaRMSNorm`).
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load_unit_offset(params: &Params, channels: usize, eps: f64) -> Result<Self> {
        let difference = params.get("weight", channels, Init::Const(0.0))?;
        Ok(match params.trains("weight") {
            true => Self { weight: difference, offset: 1.0, eps },
            false => Self { weight: (difference.to_dtype(DType::F32)? + 1.0)?, offset: 0.0, eps },
        })
    }

    /// Any shape ending in `channels`; the dtype stays.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(out) = fused(NormKind::Rms, &self.weight, None, self.eps, x)? {
            return Ok(out);
        }
        let dtype = x.dtype();
        let x = x.to_dtype(DType::F32)?;
        let mut weight = self.weight.to_dtype(DType::F32)?;
        if self.offset != 0.0 {
            weight = (weight + self.offset)?;
        }
        let out = if dispatch::tracked([&x, &weight]) {
            // The fused kernel has no backward pass.
            let square = x.sqr()?.mean_keepdim(D::Minus1)?;
            x.broadcast_div(&(square + self.eps)?.sqrt()?)?.broadcast_mul(&weight)?
        } else {
            candle_nn::ops::rms_norm(&x.contiguous()?, &weight, self.eps as f32)?
        };
        Ok(out.to_dtype(dtype)?)
    }
}

/// A norm of either kind, as products take it.
#[derive(Debug, Clone, Copy)]
pub enum AnyNorm<'a> {
    /// See [`LayerNorm`].
    Layer(&'a LayerNorm),
    /// See [`RmsNorm`].
    Rms(&'a RmsNorm),
}

impl<'a> From<&'a LayerNorm> for AnyNorm<'a> {
    fn from(norm: &'a LayerNorm) -> Self {
        Self::Layer(norm)
    }
}

impl<'a> From<&'a RmsNorm> for AnyNorm<'a> {
    fn from(norm: &'a RmsNorm) -> Self {
        Self::Rms(norm)
    }
}

impl<'a> From<&'a Norm> for AnyNorm<'a> {
    fn from(norm: &'a Norm) -> Self {
        match norm {
            Norm::Layer(norm) => Self::Layer(norm),
            Norm::Rms(norm) => Self::Rms(norm),
        }
    }
}

impl<'a> AnyNorm<'a> {
    /// Any shape ending in the channels; the dtype stays.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Layer(norm) => norm.forward(x),
            Self::Rms(norm) => norm.forward(x),
        }
    }

    /// What multiplies and what is added.
    pub(crate) fn parameters(self) -> impl Iterator<Item = &'a Tensor> + Clone {
        let (weight, bias) = self.tensors();
        std::iter::once(weight).chain(bias)
    }

    fn tensors(self) -> (&'a Tensor, Option<&'a Tensor>) {
        match self {
            Self::Layer(norm) => (&norm.weight, Some(&norm.bias)),
            Self::Rms(norm) => (&norm.weight, None),
        }
    }

    /// Hands its numbers on `channels` channels to a kernel, which knows no offset: a weight that has one is trained,
    /// and what is trained takes another way.
    pub(crate) fn with<T: Element + WithDType, R>(
        self,
        channels: usize,
        run: impl FnOnce(&zoo_kernels::Norm<'_, T>) -> R,
    ) -> candle_core::Result<R> {
        let (kind, eps) = match self {
            Self::Layer(norm) => (NormKind::Layer, norm.eps),
            Self::Rms(norm) => (NormKind::Rms, norm.eps),
        };
        let (weight, bias) = self.tensors();
        let values = |t: &Tensor| Values::of(t, &[channels]);
        let (weight, bias) = (values(weight)?, bias.map(values).transpose()?);
        let (weight, bias) = (weight.read()?, bias.as_ref().map(Values::read).transpose()?);
        let bias = bias.as_ref().map(Slice::values).transpose()?;
        Ok(run(&zoo_kernels::Norm { kind, weight: weight.values()?, bias, eps: eps as f32 }))
    }
}

/// A norm whose kind is a number of a registry row.
#[derive(Debug, Clone)]
pub enum Norm {
    /// See [`LayerNorm`].
    Layer(LayerNorm),
    /// See [`RmsNorm`].
    Rms(RmsNorm),
}

impl Norm {
    /// Reads its tensors `[channels]` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(kind: NormKind, params: &Params, channels: usize, eps: f64) -> Result<Self> {
        Ok(match kind {
            NormKind::Layer => Self::Layer(LayerNorm::load(params, channels, eps)?),
            NormKind::Rms => Self::Rms(RmsNorm::load(params, channels, eps)?),
        })
    }

    /// Any shape ending in `channels`; the dtype stays.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        AnyNorm::from(self).forward(x)
    }
}

/// In one pass over all cores; `None` where candle must compute.
fn fused(
    kind: NormKind,
    weight: &Tensor,
    bias: Option<&Tensor>,
    eps: f64,
    x: &Tensor,
) -> Result<Option<Tensor>> {
    Ok(match Path::of([Some(x), Some(weight), bias].into_iter().flatten()) {
        Path::Kernel(numbers) => Some(with!(numbers, T => apply::<T>(kind, weight, bias, eps, x)?)),
        _ => None,
    })
}

fn apply<T: Element + WithDType>(
    kind: NormKind,
    weight: &Tensor,
    bias: Option<&Tensor>,
    eps: f64,
    x: &Tensor,
) -> candle_core::Result<Tensor> {
    let channels = weight.dims();
    if x.dims().last() != channels.first() {
        candle_core::bail!("norm: {channels:?} channels, but x is {:?}", x.dims());
    }
    let (values, weight) = (Values::of(x, x.dims())?, Values::of(weight, channels)?);
    let bias = bias.map(|t| Values::of(t, channels)).transpose()?;
    let (values, weight, bias) =
        (values.read()?, weight.read()?, bias.as_ref().map(Values::read).transpose()?);
    let bias = bias.as_ref().map(Slice::values).transpose()?;
    let norm = zoo_kernels::Norm { kind, weight: weight.values::<T>()?, bias, eps: eps as f32 };
    let out = written(x.elem_count(), |out| Ok::<_, candle_core::Error>(norm.apply(values.values()?, out)))?;
    Tensor::from_vec(out, x.shape(), &Device::Cpu)
}
