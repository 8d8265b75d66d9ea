//! Multi-head self-attention.

use candle_core::{D, DType, Device, Tensor, WithDType};
use half::bf16;
use zoo_core::Result;
use zoo_core::weights::Params;
use zoo_kernels::{Attention, AttentionSize, Element, Heads};

use crate::linear::{Epilogue, Linear, Residual};
use crate::norm::LayerNorm;
use crate::values::Values;

/// Most bytes of attention scores that are held at a time; more queries than fit go in turns.
pub(crate) const SCORE_BYTES: usize = 64 << 20;

/// Self-attention of all tokens to all tokens, scale `(channels / heads)^-1/2`, softmax in f32. Tensors: `qkv`
/// (q, k and v in this order along the rows) and `proj`.
#[derive(Debug, Clone)]
pub struct SelfAttention {
    qkv: Linear,
    proj: Linear,
    heads: usize,
}

impl SelfAttention {
    /// Reads the two maps at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, heads: usize, qkv_bias: bool) -> Result<Self> {
        Ok(Self {
            qkv: Linear::load(&params.pp("qkv"), channels, 3 * channels, qkv_bias)?,
            proj: Linear::load(&params.pp("proj"), channels, channels, true)?,
            heads,
        })
    }

    /// Of the normalised `x` `[B, T, C]`, in the same shape; added to `residual` if there is one.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the shape does not fit or memory runs out.
    pub fn forward(&self, norm: &LayerNorm, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        let qkv = self.qkv.forward_normed(norm, x, Epilogue::default())?;
        let mixed = match qkv.dtype() {
            _ if !qkv.device().is_cpu() || qkv.track_op() => self.plain(&qkv)?,
            DType::F32 => self.fused::<f32>(&qkv)?,
            DType::BF16 => self.fused::<bf16>(&qkv)?,
            _ => self.plain(&qkv)?,
        };
        self.proj.forward_with(&mixed, Epilogue { activation: None, residual })
    }

    fn scale(head: usize) -> f64 {
        (head as f64).powf(-0.5)
    }

    /// From `[B, T, 3 C]` to `[B, T, C]` in one pass, q, k and v being read where they lie.
    fn fused<T: Element + WithDType>(&self, qkv: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = qkv.dims3()?;
        let (channels, heads) = (width / 3, self.heads);
        let size = AttentionSize {
            batch,
            queries: tokens,
            keys: tokens,
            heads,
            key_heads: heads,
            channels: channels / heads,
        };
        let qkv = Values::of(qkv, qkv.dims())?;
        let qkv = qkv.read()?;
        let qkv = qkv.values::<T>()?;
        let part = |i: usize| Heads {
            values: qkv.get(i * channels..).unwrap_or_default(),
            batch: tokens * width,
            token: width,
            head: size.channels,
        };
        let (q, k, v) = (part(0), part(1), part(2));
        let scale = Self::scale(size.channels) as f32;
        let mut mixed = vec![T::round(0.0); batch * tokens * channels];
        Attention { size, q, k, v, scale, bias: None, sight: None }.apply(&mut mixed);
        Ok(Tensor::from_vec(mixed, (batch, tokens, channels), &Device::Cpu)?)
    }

    /// As `fused`, by candle: for other devices and dtypes, and differentiable.
    fn plain(&self, qkv: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = qkv.dims3()?;
        let (channels, dtype) = (width / 3, qkv.dtype());
        let head = channels / self.heads;
        let qkv = match qkv.device() {
            // The CPU has no fast products of half-precision numbers.
            Device::Cpu => qkv.to_dtype(DType::F32)?,
            _ => qkv.clone(),
        };
        let qkv =
            qkv.reshape((batch, tokens, 3, self.heads, head))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
        let q = (qkv.get(0)? * Self::scale(head))?;
        let (k, v) = (qkv.get(1)?.transpose(D::Minus2, D::Minus1)?, qkv.get(2)?);
        let rows = SCORE_BYTES / (batch * self.heads * tokens * DType::F32.size_in_bytes()).max(1);
        let rows = rows.clamp(1, tokens);
        let mut parts = Vec::with_capacity(tokens.div_ceil(rows));
        for start in (0..tokens).step_by(rows) {
            let part = q.narrow(2, start, rows.min(tokens - start))?.contiguous()?;
            let weights = softmax(&part.matmul(&k)?)?;
            parts.push(weights.matmul(&v)?);
        }
        let mixed = if let [whole] = parts.as_slice() { whole.clone() } else { Tensor::cat(&parts, 2)? };
        Ok(mixed.transpose(1, 2)?.reshape((batch, tokens, channels))?.to_dtype(dtype)?)
    }

    /// Peak bytes of the scores for `batch` images of `tokens` tokens.
    pub fn score_bytes(batch: usize, heads: usize, tokens: usize) -> u64 {
        let all = (batch * heads * tokens * tokens * DType::F32.size_in_bytes()) as u64;
        all.min(SCORE_BYTES as u64)
    }
}

/// Softmax over the last axis, in f32; the dtype stays.
pub fn softmax(scores: &Tensor) -> Result<Tensor> {
    let dtype = scores.dtype();
    let scores = scores.to_dtype(DType::F32)?;
    let out = if scores.track_op() {
        // The fused kernel has no backward pass.
        candle_nn::ops::softmax(&scores, D::Minus1)?
    } else {
        candle_nn::ops::softmax_last_dim(&scores)?
    };
    Ok(out.to_dtype(dtype)?)
}
