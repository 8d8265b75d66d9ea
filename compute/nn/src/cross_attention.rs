//! Attention to tokens that are the same for every image, such as those of a text.

use candle_core::{D, DType, Device, Tensor, WithDType};
use zoo_core::weights::Params;
use zoo_core::{Error, Result};
use zoo_kernels::{Attention, AttentionSize, Element, Heads, written};

use crate::attention::softmax;
use crate::dispatch::{Path, with};
use crate::linear::{Epilogue, Linear, Residual};
use crate::norm::LayerNorm;
use crate::values::Values;

/// Multi-head attention of all tokens of an image to a context that was looked at once, scale
/// `(channels / heads)^-1/2`, softmax in f32. Tensors: `q`, `k`, `v` without biases, and `proj`.
#[derive(Debug, Clone)]
pub struct CrossAttention {
    q: Linear,
    /// `[M, C]` each.
    keys: Tensor,
    values: Tensor,
    proj: Linear,
    heads: usize,
}

impl CrossAttention {
    /// Reads the maps at `params` and makes keys and values of `context` `[M, inputs]`.
    ///
    /// # Errors
    /// Those of [`Params::get`]; [`Error::Tensor`] when memory runs out.
    pub fn load(params: &Params, channels: usize, heads: usize, context: &Tensor) -> Result<Self> {
        let (tokens, inputs) = context.dims2()?;
        let of_context = |name: &str| -> Result<Tensor> {
            let map = Linear::load(&params.pp(name), inputs, channels, false)?;
            // Nobody looks at numbers that are not there yet.
            if params.is_recording() {
                return Ok(Tensor::zeros((tokens, channels), context.dtype(), context.device())?);
            }
            map.forward(context)
        };
        Ok(Self {
            q: Linear::load(&params.pp("q"), channels, channels, false)?,
            keys: of_context("k")?,
            values: of_context("v")?,
            proj: Linear::load(&params.pp("proj"), channels, channels, true)?,
            heads,
        })
    }

    /// Of the normalised `x` `[B, T, C]`, in the same shape; added to `residual` if there is one. Differentiable.
    ///
    /// # Errors
    /// [`Error::Tensor`] when the shape does not fit or memory runs out.
    pub fn forward(&self, norm: &LayerNorm, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        let q = self.q.forward_normed(norm, x, Epilogue::default())?;
        let mixed = match Path::of([&q, &self.keys, &self.values]) {
            Path::Kernel(numbers) => with!(numbers, T => self.fused::<T>(&q)?),
            _ => self.plain(&q)?,
        };
        self.proj.forward_with(&mixed, Epilogue { activation: None, residual })
    }

    fn scale(&self, channels: usize) -> f64 {
        ((channels / self.heads) as f64).powf(-0.5)
    }

    fn fused<T: Element + WithDType>(&self, q: &Tensor) -> Result<Tensor> {
        let (batch, queries, width) = q.dims3()?;
        let (keys, heads) = (self.keys.dim(0)?, self.heads);
        let channels = width / heads;
        let size = AttentionSize { batch, queries, keys, heads, key_heads: heads, channels };
        let [q, k, v] = [q, &self.keys, &self.values].map(|tensor| Values::of(tensor, tensor.dims()));
        let (q, k, v) = (q?, k?, v?);
        let (q, k, v) = (q.read()?, k.read()?, v.read()?);
        // The context has no step from one image to the next.
        let context = |values| Heads { values, batch: 0, token: width, head: channels };
        let attention = Attention {
            size,
            q: Heads { values: q.values::<T>()?, batch: queries * width, token: width, head: channels },
            k: context(k.values()?),
            v: context(v.values()?),
            scale: self.scale(width) as f32,
            bias: None,
            sight: None,
        };
        let mixed = written(batch * queries * width, |out| Ok::<_, Error>(attention.apply(out)))?;
        Ok(Tensor::from_vec(mixed, (batch, queries, width), &Device::Cpu)?)
    }

    /// As `fused`, by candle: for other devices and dtypes, and differentiable.
    fn plain(&self, q: &Tensor) -> Result<Tensor> {
        let ((batch, queries, width), dtype) = (q.dims3()?, q.dtype());
        let (keys, channels) = (self.keys.dim(0)?, width / self.heads);
        let wide = |tensor: &Tensor| match tensor.device() {
            // The CPU has no fast products of half-precision numbers.
            Device::Cpu => tensor.to_dtype(DType::F32),
            _ => Ok(tensor.clone()),
        };
        let q = wide(q)?.reshape((batch, queries, self.heads, channels))?.transpose(1, 2)?.contiguous()?;
        let of_context = |tensor: &Tensor| -> Result<Tensor> {
            let split = wide(tensor)?.reshape((1, keys, self.heads, channels))?.transpose(1, 2)?;
            Ok(split.broadcast_as((batch, self.heads, keys, channels))?.contiguous()?)
        };
        let (k, v) = (of_context(&self.keys)?, of_context(&self.values)?);
        let scores = (q * self.scale(width))?.matmul(&k.transpose(D::Minus2, D::Minus1)?.contiguous()?)?;
        let mixed = softmax(&scores)?.matmul(&v)?;
        Ok(mixed.transpose(1, 2)?.reshape((batch, queries, width))?.to_dtype(dtype)?)
    }
}
