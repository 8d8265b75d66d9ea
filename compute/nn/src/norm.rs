//! Normalisation over channels, always computed in f32.

use candle_core::{D, DType, Device, Tensor, WithDType};
use zoo_core::Result;
use zoo_core::weights::{Init, Params};
use zoo_kernels::{Element, NormGradients, written};

pub use zoo_kernels::NormKind;

use crate::dispatch::{self, Path, with};
use crate::graph::{self, Fresh, Sink};
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

    fn parts(&self) -> Parts {
        let (weight, bias) = (self.weight.clone(), Some(self.bias.clone()));
        Parts { kind: NormKind::Layer, factor: weight.clone(), weight, bias, eps: self.eps }
    }

    /// Any shape ending in `channels`; the dtype stays.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(out) = self.parts().forward(x)? {
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

    /// For kernels; `None` where the factor is kept in f32 beside other numbers.
    fn parts(&self) -> Result<Option<Parts>> {
        let factor = match self.offset {
            0.0 => self.weight.clone(),
            offset if self.weight.dtype() == DType::F32 => (self.weight.detach() + offset)?,
            _ => return Ok(None),
        };
        Ok(Some(Parts {
            kind: NormKind::Rms,
            factor,
            weight: self.weight.clone(),
            bias: None,
            eps: self.eps,
        }))
    }

    /// Any shape ending in `channels`; the dtype stays.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let Some(parts) = self.parts()?
            && let Some(out) = parts.forward(x)?
        {
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

    /// For passes with gradients; `None` where the factor is kept in f32 beside other numbers.
    pub(crate) fn parts(self) -> Result<Option<Parts>> {
        match self {
            Self::Layer(norm) => Ok(Some(norm.parts())),
            Self::Rms(norm) => norm.parts(),
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

/// A norm as kernels take it.
#[derive(Clone)]
pub(crate) struct Parts {
    kind: NormKind,
    /// What the unit rows are multiplied with.
    factor: Tensor,
    /// What that was made of, and may be trained.
    weight: Tensor,
    bias: Option<Tensor>,
    eps: f64,
}

impl Parts {
    /// In one pass over all cores; `None` where candle must compute.
    fn forward(self, x: &Tensor) -> Result<Option<Tensor>> {
        let tensors = [Some(x), Some(&self.weight), self.bias.as_ref()].into_iter().flatten();
        Ok(match Path::of(tensors.chain([&self.factor])) {
            Path::Kernel(numbers) => Some(with!(numbers, T => self.apply::<T>(x)?.tensor())),
            Path::Tracked(numbers) => Some(with!(numbers, T => self.tracked::<T>(x)?)),
            Path::Candle => None,
        })
    }

    fn tracked<T: Element + WithDType>(self, x: &Tensor) -> candle_core::Result<Tensor> {
        let out = self.apply::<T>(x)?;
        let (source, weight, bias) = (x.clone(), self.weight.clone(), self.bias.clone());
        let inputs = [Some(x), Some(&weight), bias.as_ref()].into_iter().flatten();
        graph::operation("norm", inputs, out, move |gradient, sink| {
            self.pull::<T>(&source, gradient, None, sink)
        })
    }

    /// What computing and learning it read.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        [Some(&self.factor), Some(&self.weight), self.bias.as_ref()].into_iter().flatten()
    }

    /// Whether a gradient flows to its parameters.
    pub(crate) fn trains(&self) -> bool {
        dispatch::tracked(self.tensors())
    }

    /// The normalised rows, without a graph.
    pub(crate) fn compute<T: Element + WithDType>(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        Ok(self.apply::<T>(x)?.tensor())
    }

    /// Leaves the gradients of `x` and of the parameters for that of the normalised rows; `plus` is added to that of
    /// `x`.
    pub(crate) fn pull<T: Element + WithDType>(
        &self,
        x: &Tensor,
        gradient: &Tensor,
        plus: Option<&Tensor>,
        sink: &mut Sink,
    ) -> candle_core::Result<()> {
        let channels = self.factor.dims();
        let learns = sink.wants(&self.weight) || self.bias.as_ref().is_some_and(|bias| sink.wants(bias));
        let [x_values, gradient] = [x, gradient].map(|t| Values::of(t, x.dims()));
        let (x_values, gradient, factor) = (x_values?, gradient?, Values::of(&self.factor, channels)?);
        let plus = plus.map(|t| Values::of(t, x.dims())).transpose()?;
        let (numbers, slopes, factor) = (x_values.read()?, gradient.read()?, factor.read()?);
        let plus = plus.as_ref().map(Values::read).transpose()?;
        let plus = plus.as_ref().map(Slice::values::<T>).transpose()?;
        let norm = zoo_kernels::Norm {
            kind: self.kind,
            weight: factor.values::<T>()?,
            bias: None,
            eps: self.eps as f32,
        };
        let count = norm.weight.len();
        let (mut to_weight, mut to_bias) = (vec![0f32; count], vec![0f32; count]);
        let (numbers, slopes) = (numbers.values()?, slopes.values()?);
        let out = written(x.elem_count(), |out| {
            let bias = self.bias.is_some().then_some(&mut to_bias[..]);
            let parameters = learns.then_some(NormGradients { weight: &mut to_weight, bias });
            Ok::<_, candle_core::Error>(norm.gradient(numbers, slopes, plus, parameters, out))
        })?;
        if learns {
            sink.add(&self.weight, Tensor::from_vec(to_weight, channels, &Device::Cpu)?)?;
            if let Some(bias) = &self.bias {
                sink.add(bias, Tensor::from_vec(to_bias, channels, &Device::Cpu)?)?;
            }
        }
        sink.add(x, Tensor::from_vec(out, x.shape(), &Device::Cpu)?)
    }

    fn apply<T: Element + WithDType>(&self, x: &Tensor) -> candle_core::Result<Fresh> {
        let channels = self.factor.dims();
        if x.dims().last() != channels.first() {
            candle_core::bail!("norm: {channels:?} channels, but x is {:?}", x.dims());
        }
        let (values, weight) = (Values::of(x, x.dims())?, Values::of(&self.factor, channels)?);
        let bias = self.bias.as_ref().map(|t| Values::of(t, channels)).transpose()?;
        let (values, weight, bias) =
            (values.read()?, weight.read()?, bias.as_ref().map(Values::read).transpose()?);
        let bias = bias.as_ref().map(Slice::values).transpose()?;
        let norm =
            zoo_kernels::Norm { kind: self.kind, weight: weight.values::<T>()?, bias, eps: self.eps as f32 };
        let out =
            written(x.elem_count(), |out| Ok::<_, candle_core::Error>(norm.apply(values.values()?, out)))?;
        Ok(Fresh::new(out, x.shape()))
    }
}
