//! One learnt query that looks at all tokens of an image: SigLIP's pooling head (arXiv 2303.15343).

use candle_core::{D, DType, Device, Tensor, WithDType};
use zoo_core::weights::Params;
use zoo_core::{Error, Result};
use zoo_kernels::{Attention, AttentionSize, Element, Heads, written};

use crate::attention::softmax;
use crate::dispatch::{Path, with};
use crate::linear::{Linear, Residual};
use crate::mlp::{Mlp, MlpKind};
use crate::norm::Norm;
use crate::values::Values;

/// `x + mlp(norm x)` of `x`, what the query finds among the tokens. Tensors: `q`, `kv` (k and v in this order along the
/// rows), `proj`, `mlp`, all with biases. References: timm's `AttentionPoolLatent`,
/// `transformers.SiglipMultiheadAttentionPoolingHead`.
pub(crate) struct QueryPool {
    query: Tensor,
    q: Linear,
    kv: Linear,
    proj: Linear,
    norm: Norm,
    mlp: Mlp,
    heads: usize,
}

impl QueryPool {
    /// Reads the maps at `params` for a `query` `[1, 1, C]`, with so many heads and hidden channels.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub(crate) fn read(
        params: &Params,
        query: Tensor,
        (heads, inner): (usize, usize),
        norm: Norm,
        kind: MlpKind,
    ) -> Result<Self> {
        let width = query.dim(D::Minus1)?;
        Ok(Self {
            q: Linear::load(&params.pp("q"), width, width, true)?,
            kv: Linear::load(&params.pp("kv"), width, 2 * width, true)?,
            proj: Linear::load(&params.pp("proj"), width, width, true)?,
            mlp: Mlp::load(&params.pp("mlp"), width, inner, kind)?,
            query,
            norm,
            heads,
        })
    }

    /// `[B, C]` of tokens `[B, N, C]`. Differentiable.
    ///
    /// # Errors
    /// [`Error::Tensor`] when the shape does not fit or memory runs out.
    pub(crate) fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let (q, kv) = (self.q.forward(&self.query)?, self.kv.forward(tokens)?);
        let found = match Path::of([&q, &kv]) {
            Path::Kernel(numbers) => with!(numbers, T => self.fused::<T>(&q, &kv)?),
            _ => self.plain(&q, &kv)?,
        };
        let x = self.proj.forward(&found)?;
        let residual = Residual { shortcut: &x, scale: None };
        Ok(self.mlp.forward_normed(&self.norm, &x, Some(residual))?.squeeze(1)?)
    }

    fn fused<T: Element + WithDType>(&self, q: &Tensor, kv: &Tensor) -> Result<Tensor> {
        let (batch, keys, double) = kv.dims3()?;
        let (width, heads) = (double / 2, self.heads);
        let channels = width / heads;
        let (q, kv) = (Values::of(q, q.dims())?, Values::of(kv, kv.dims())?);
        let (q, kv) = (q.read()?, kv.read()?);
        let kv = kv.values::<T>()?;
        let half = |values| Heads { values, batch: keys * double, token: double, head: channels };
        let attention = Attention {
            size: AttentionSize { batch, queries: 1, keys, heads, key_heads: heads, channels },
            // The query has no step from one image to the next.
            q: Heads { values: q.values::<T>()?, batch: 0, token: width, head: channels },
            k: half(kv),
            v: half(kv.get(width..).unwrap_or_default()),
            scale: (channels as f32).powf(-0.5),
            bias: None,
            sight: None,
        };
        let found = written(batch * width, |out| Ok::<_, Error>(attention.apply(out)))?;
        Ok(Tensor::from_vec(found, (batch, 1, width), &Device::Cpu)?)
    }

    /// As `fused`, by candle: for other devices and dtypes, and differentiable.
    fn plain(&self, q: &Tensor, kv: &Tensor) -> Result<Tensor> {
        let ((batch, keys, double), dtype) = (kv.dims3()?, kv.dtype());
        let (width, heads) = (double / 2, self.heads);
        let channels = width / heads;
        let wide = |tensor: &Tensor| match tensor.device() {
            // The CPU has no fast products of half-precision numbers.
            Device::Cpu => tensor.to_dtype(DType::F32),
            _ => Ok(tensor.clone()),
        };
        let kv =
            wide(kv)?.reshape((batch, keys, 2, heads, channels))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
        let (k, v) = (kv.get(0)?, kv.get(1)?);
        let q = (wide(q)?.reshape((1, heads, 1, channels))? * (channels as f64).powf(-0.5))?;
        let q = q.broadcast_as((batch, heads, 1, channels))?.contiguous()?;
        let weights = softmax(&q.matmul(&k.transpose(D::Minus2, D::Minus1)?.contiguous()?)?)?;
        Ok(weights.matmul(&v)?.reshape((batch, 1, width))?.to_dtype(dtype)?)
    }
}
