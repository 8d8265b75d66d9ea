//! Multi-head self-attention.

pub(crate) mod tracked;

use candle_core::{D, DType, Device, Tensor, WithDType};
use half::bf16;
use zoo_core::weights::Params;
use zoo_core::{Error, Grid, Result};
use zoo_kernels::{Attention, AttentionSize, Bias, Decomposed, Element, Heads, written};

use crate::axial::Turns;
use crate::dispatch::{self, Path, with};
use crate::graph::Fresh;
use crate::linear::{Epilogue, Linear, Residual};
use crate::norm::{AnyNorm, LayerNorm, RmsNorm};
use crate::relative::{RelativeBias, RelativePositions};
use crate::values::Values;

/// Most bytes of attention scores that are held at a time; more queries than fit go in turns.
pub(crate) const SCORE_BYTES: usize = 64 << 20;

/// Self-attention of all tokens to all tokens, scale `(channels / heads)^-1/2`, softmax in f32. Tensors: `qkv`
/// (q, k and v in this order along the rows) and `proj`.
#[derive(Debug, Clone)]
pub struct SelfAttention {
    qkv: Linear,
    /// Of q and of k, over the channels of all heads together.
    normed: Option<[RmsNorm; 2]>,
    /// Of what the heads give.
    norm: Option<LayerNorm>,
    proj: Linear,
    heads: usize,
}

/// What members of a family differ in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionStyle {
    /// Heads.
    pub heads: usize,
    /// Whether q, k and v have biases.
    pub qkv_bias: bool,
    /// Whether the last map has one.
    pub bias: bool,
    /// Epsilon of a LayerNorm before the last map, where there is one (`norm`).
    pub norm: Option<f64>,
    /// Epsilon of the RMSNorms of q and k over the channels of all heads, where there are some (`q_norm`, `k_norm`).
    pub normed: Option<f64>,
}

impl SelfAttention {
    /// Reads the maps and norms at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load_styled(params: &Params, channels: usize, style: AttentionStyle) -> Result<Self> {
        let rms = |name: &str, eps| RmsNorm::load(&params.pp(name), channels, eps);
        Ok(Self {
            qkv: Linear::load(&params.pp("qkv"), channels, 3 * channels, style.qkv_bias)?,
            normed: match style.normed {
                Some(eps) => Some([rms("q_norm", eps)?, rms("k_norm", eps)?]),
                None => None,
            },
            norm: style.norm.map(|eps| LayerNorm::load(&params.pp("norm"), channels, eps)).transpose()?,
            proj: Linear::load(&params.pp("proj"), channels, channels, style.bias)?,
            heads: style.heads,
        })
    }

    /// Reads the two maps at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, heads: usize, qkv_bias: bool) -> Result<Self> {
        let style = AttentionStyle { heads, qkv_bias, bias: true, norm: None, normed: None };
        Self::load_styled(params, channels, style)
    }

    /// Of the normalised `x` `[B, T, C]`, in the same shape; added to `residual` if there is one.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the shape does not fit or memory runs out.
    pub fn forward(&self, norm: &LayerNorm, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        self.forward_turned(norm, x, None, residual)
    }

    /// As [`SelfAttention::forward`], with rotary positions on q and k.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when a shape does not fit or memory runs out.
    pub fn forward_turned<'n>(
        &self,
        norm: impl Into<AnyNorm<'n>>,
        x: &Tensor,
        turns: Option<&Turns>,
        residual: Option<Residual<'_>>,
    ) -> Result<Tensor> {
        let norm = norm.into();
        if turns.is_none()
            && let Some(out) = self.run_tracked(norm, x, residual)?
        {
            return Ok(out);
        }
        let mut qkv = self.qkv.forward_normed(norm, x, Epilogue::default())?;
        if let Some(norms) = &self.normed {
            let width = qkv.dim(D::Minus1)? / 3;
            let part = |i: usize| Ok::<_, Error>(qkv.narrow(D::Minus1, i * width, width)?.contiguous()?);
            let [q, k] = norms;
            qkv = Tensor::cat(&[q.forward(&part(0)?)?, k.forward(&part(1)?)?, part(2)?], D::Minus1)?;
        }
        if let Some(turns) = turns {
            qkv = turns.apply(&qkv, self.heads)?;
        }
        self.mix(&qkv, None, residual)
    }

    /// As [`SelfAttention::forward`], of `x` as it is.
    ///
    /// # Errors
    /// As [`SelfAttention::forward`].
    pub fn forward_unnormed(&self, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        self.mix(&self.qkv.forward(x)?, None, residual)
    }

    /// As [`SelfAttention::forward`], with `bias`, f32 `[heads, T, T]`, added to the scores: a number for each query and
    /// each key.
    ///
    /// # Errors
    /// [`Error::Tensor`] when a shape does not fit or memory runs out.
    pub fn forward_biased<'n>(
        &self,
        norm: impl Into<AnyNorm<'n>>,
        x: &Tensor,
        bias: &Tensor,
        residual: Option<Residual<'_>>,
    ) -> Result<Tensor> {
        let tokens = x.dim(1)?;
        if bias.dims() != [self.heads, tokens, tokens] || bias.dtype() != DType::F32 {
            return Err(Error::Internal(format!(
                "what is added to the scores of {} heads on {tokens} tokens is {bias:?}",
                self.heads
            )));
        }
        let qkv = self.qkv.forward_normed(norm, x, Epilogue::default())?;
        self.mix(&qkv, Some(Added::Dense(bias)), residual)
    }

    /// Of `x` `[B, N, C]` as it is, the cells of `grid` in raster order, with what `positions` add to the scores, of
    /// which no `N × N` matrix is made on the CPU.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when there are other tokens than cells; [`Error::Tensor`] when a shape does not fit or
    /// memory runs out.
    pub fn forward_relative(
        &self,
        positions: &RelativePositions,
        grid: Grid,
        x: &Tensor,
        residual: Option<Residual<'_>>,
    ) -> Result<Tensor> {
        let qkv = self.qkv.forward(x)?;
        let tokens = qkv.dim(1)?;
        if tokens != grid.cells() || tokens == 0 {
            let Grid { h, w } = grid;
            return Err(Error::invalid(format!(
                "relative positions: {tokens} tokens on a grid of {h} by {w}"
            )));
        }
        let bias = positions.bias(&qkv, self.heads, grid)?;
        self.mix(&qkv, Some(Added::Decomposed(&bias)), residual)
    }

    /// From `[B, T, 3 C]` to what the block makes of it.
    fn mix(&self, qkv: &Tensor, bias: Option<Added<'_>>, residual: Option<Residual<'_>>) -> Result<Tensor> {
        // What is added to scores is f32 beside any numbers.
        let tables = bias.iter().flat_map(Added::tables);
        let path = Path::of([qkv]);
        let mixed = match (path, bias) {
            (Path::Kernel(numbers), _) if dispatch::plain(tables) => {
                with!(numbers, T => self.fused::<T>(qkv, bias, None)?.tensor())
            }
            // With numbers for each image and head, of which the kernel gives the gradients.
            (Path::Tracked(numbers) | Path::Kernel(numbers), Some(Added::Decomposed(bias))) => {
                with!(numbers, T => self.mixed_tracked::<T>(qkv, Some(bias))?)
            }
            (Path::Tracked(numbers) | Path::Kernel(numbers), None) => {
                with!(numbers, T => self.mixed_tracked::<T>(qkv, None)?)
            }
            _ => self.plain(qkv, bias)?,
        };
        let epilogue = Epilogue { activation: None, residual };
        match &self.norm {
            Some(norm) => self.proj.forward_normed(norm, &mixed, epilogue),
            None => self.proj.forward_with(&mixed, epilogue),
        }
    }

    fn scale(head: usize) -> f64 {
        (head as f64).powf(-0.5)
    }

    /// From `[B, T, 3 C]` to `[B, T, C]` in one pass, q, k and v being read where they lie.
    fn fused<T: Element + WithDType>(
        &self,
        qkv: &Tensor,
        bias: Option<Added<'_>>,
        logs: Option<&mut [f32]>,
    ) -> candle_core::Result<Fresh> {
        self.with::<T, _>(qkv, bias, |attention| {
            let AttentionSize { batch, queries, heads, channels, .. } = attention.size;
            let mixed = written(batch * queries * heads * channels, |out| {
                Ok::<_, candle_core::Error>(match logs {
                    Some(logs) => attention.apply_kept(out, logs),
                    None => attention.apply(out),
                })
            })?;
            Ok(Fresh::new(mixed, (batch, queries, heads * channels)))
        })
    }

    /// Hands q, k and v on to a kernel where they lie in `[B, T, 3 C]`.
    fn with<T: Element + WithDType, R>(
        &self,
        qkv: &Tensor,
        bias: Option<Added<'_>>,
        run: impl FnOnce(&Attention<'_, T>) -> candle_core::Result<R>,
    ) -> candle_core::Result<R> {
        let (batch, tokens, width) = qkv.dims3()?;
        let (channels, heads) = (width / 3, self.heads);
        let size = size(batch, heads, tokens, channels);
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
        let tables = bias.iter().flat_map(Added::tables).map(|table| Values::of(table, table.dims()));
        let tables = tables.collect::<candle_core::Result<Vec<_>>>()?;
        let tables = tables.iter().map(Values::read).collect::<candle_core::Result<Vec<_>>>()?;
        let bias = match (bias, tables.as_slice()) {
            (Some(Added::Decomposed(RelativeBias { grid, .. })), [rows, columns]) => {
                Some(Bias::Decomposed(Decomposed {
                    prefix: 0,
                    grid: *grid,
                    rows: rows.values()?,
                    columns: columns.values()?,
                }))
            }
            (Some(Added::Dense(_)), [scores]) => Some(Bias::Dense(scores.values()?)),
            _ => None,
        };
        run(&Attention { size, q, k, v, scale, bias, sight: None })
    }

    /// As `fused`, by candle: for other devices and dtypes, and differentiable.
    fn plain(&self, qkv: &Tensor, bias: Option<Added<'_>>) -> Result<Tensor> {
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
            let length = rows.min(tokens - start);
            let scores = q.narrow(2, start, length)?.contiguous()?.matmul(&k)?;
            let scores = match bias {
                Some(bias) => scores.broadcast_add(&bias.dense(start, length)?.to_dtype(scores.dtype())?)?,
                None => scores,
            };
            let weights = softmax(&scores)?;
            parts.push(weights.matmul(&v)?);
        }
        let mixed = if let [whole] = parts.as_slice() { whole.clone() } else { Tensor::cat(&parts, 2)? };
        Ok(mixed.transpose(1, 2)?.reshape((batch, tokens, channels))?.to_dtype(dtype)?)
    }

    /// Bytes that a CPU holds for `batch` images of `tokens` tokens beside the tensors.
    pub fn held(batch: usize, heads: usize, tokens: usize, channels: usize, dtype: DType) -> usize {
        let size = size(batch, heads, tokens, channels);
        match dtype {
            DType::BF16 => size.held::<bf16>(),
            DType::F32 => size.held::<f32>(),
            // By candle: scores and weights of a few queries.
            _ => {
                let query = batch * heads * tokens * DType::F32.size_in_bytes();
                2 * query * (SCORE_BYTES / query.max(1)).clamp(1, tokens.max(1))
            }
        }
    }
}

/// What is added to scores, in f32.
#[derive(Clone, Copy)]
enum Added<'a> {
    /// `[heads, T, T]`.
    Dense(&'a Tensor),
    /// Of the row and of the column of a key.
    Decomposed(&'a RelativeBias),
}

impl<'a> Added<'a> {
    fn tables(&self) -> Vec<&'a Tensor> {
        match *self {
            Self::Dense(scores) => vec![scores],
            Self::Decomposed(bias) => bias.tables().to_vec(),
        }
    }

    /// As a matrix, for `length` queries from `start` on: `[heads or B · heads, length, T]`, to be broadcast.
    fn dense(&self, start: usize, length: usize) -> Result<Tensor> {
        match self {
            Self::Dense(scores) => Ok(scores.narrow(1, start, length)?),
            Self::Decomposed(bias) => bias.dense(start, length),
        }
    }
}

/// Of attention among the tokens of an image, of `channels` in all heads together.
fn size(batch: usize, heads: usize, tokens: usize, channels: usize) -> AttentionSize {
    let channels = channels / heads.max(1);
    AttentionSize { batch, queries: tokens, keys: tokens, heads, key_heads: heads, channels }
}

/// Softmax over the last axis, in f32; the dtype stays.
pub fn softmax(scores: &Tensor) -> Result<Tensor> {
    let dtype = scores.dtype();
    let scores = scores.to_dtype(DType::F32)?;
    let out = if dispatch::tracked([&scores]) {
        // The fused kernel has no backward pass.
        candle_nn::ops::softmax(&scores, D::Minus1)?
    } else {
        candle_nn::ops::softmax_last_dim(&scores)?
    };
    Ok(out.to_dtype(dtype)?)
}
