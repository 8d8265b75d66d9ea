//! Learnable queries that look at all tokens, as in Qwen-VL (arXiv 2308.12966).

use candle_core::{D, DType, Device, Tensor};
use zoo_core::weights::{Init, Params};
use zoo_core::{Grid, Result};
use zoo_nn::attention::softmax;
use zoo_nn::linear::Linear;
use zoo_nn::norm::LayerNorm;

use crate::arch::Arch;
use crate::connector::Net;

/// As in Qwen-VL; torch's default is ten times larger.
const EPS: f64 = 1e-6;

/// One cross-attention block. Queries and keys carry 2-D sine and cosine positions, values do not.
pub struct Resampler {
    query: Tensor,
    kv_proj: Linear,
    ln_q: LayerNorm,
    ln_kv: LayerNorm,
    /// q, k, v.
    inputs: [Linear; 3],
    out: Linear,
    heads: usize,
    side: usize,
}

impl Resampler {
    /// `query` `[Q, H]`, `kv_proj`, `ln_q`, `ln_kv`, and `attn` as torch's `MultiheadAttention` stores it.
    pub fn load(p: &Params, arch: &Arch) -> Result<Self> {
        let (queries, width) = (arch.image_token_len.unwrap_or_default(), arch.output);
        let attn = p.pp("attn");
        // torch starts the three at once, as one Xavier-uniform matrix.
        let bound = (6.0 / (4 * width) as f64).sqrt();
        let weight = attn.get("in_proj_weight", (3 * width, width), Init::Uniform { bound })?;
        let bias = attn.get("in_proj_bias", 3 * width, Init::Const(0.0))?;
        let part = |i: usize| {
            let (weight, bias) = (weight.narrow(0, i * width, width)?, bias.narrow(0, i * width, width)?);
            Ok::<_, zoo_core::Error>(Linear::new(weight, Some(bias)))
        };
        Ok(Self {
            query: p.get("query", (queries, width), Init::Normal { mean: 0.0, std: 0.02 })?,
            kv_proj: Linear::load(&p.pp("kv_proj"), arch.channels(), width, false)?,
            ln_q: LayerNorm::load(&p.pp("ln_q"), width, EPS)?,
            ln_kv: LayerNorm::load(&p.pp("ln_kv"), width, EPS)?,
            inputs: [part(0)?, part(1)?, part(2)?],
            out: Linear::load(&attn.pp("out_proj"), width, width, true)?,
            heads: arch.heads.unwrap_or(1),
            side: queries.isqrt(),
        })
    }
}

impl Net for Resampler {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let (batch, n, _) = tokens.dims3()?;
        let (queries, width) = self.query.dims2()?;
        let positions = |cells: usize| -> Result<Tensor> {
            let table = sincos(cells, self.side, width, tokens.device())?;
            Ok(table.to_dtype(tokens.dtype())?)
        };
        let kv = self.ln_kv.forward(&self.kv_proj.forward(tokens)?)?;
        let q = (self.ln_q.forward(&self.query)? + positions(self.side)?)?.unsqueeze(0)?;
        let k = kv.broadcast_add(&positions(Grid::of_tokens(n)?.h)?)?;
        let split = |x: &Tensor, i: usize| -> Result<Tensor> {
            let (b, n, _) = x.dims3()?;
            let x = self.inputs[i].forward(x)?.reshape((b, n, self.heads, width / self.heads))?;
            Ok(x.transpose(1, 2)?.to_dtype(DType::F32)?.contiguous()?)
        };
        let scale = ((width / self.heads) as f64).powf(-0.5);
        let q = (split(&q, 0)? * scale)?.broadcast_as((batch, self.heads, queries, width / self.heads))?;
        let weights = softmax(&q.contiguous()?.matmul(&split(&k, 1)?.t()?)?)?;
        let mixed = weights.matmul(&split(&kv, 2)?)?.transpose(1, 2)?.reshape((batch, queries, width))?;
        self.out.forward(&mixed.to_dtype(tokens.dtype())?)
    }
}

/// Positions `[cells², width]` f32 of a grid of `cells × cells`, measured in cells of a grid of `unit × unit` over the
/// same image, so that a query and the keys under it are near one another. Half of the channels is for columns, half
/// for rows; each half is sines, then cosines, of `position / 10000^(i / (width / 4))`.
fn sincos(cells: usize, unit: usize, width: usize, device: &Device) -> Result<Tensor> {
    let step = unit as f64 / cells as f64;
    let line: Vec<f32> = (0..cells).map(|i| ((i as f64 + 0.5) * step - 0.5) as f32).collect();
    let quarter = width / 4;
    let omega: Vec<f32> = (0..quarter).map(|i| 1e4f64.powf(-(i as f64) / quarter as f64) as f32).collect();
    let line = Tensor::from_vec(line, (cells, 1), device)?;
    let angle = line.broadcast_mul(&Tensor::from_vec(omega, (1, quarter), device)?)?;
    let line = Tensor::cat(&[angle.sin()?, angle.cos()?], D::Minus1)?;
    let shape = (cells, cells, 2 * quarter);
    let columns = line.unsqueeze(0)?.broadcast_as(shape)?;
    let rows = line.unsqueeze(1)?.broadcast_as(shape)?;
    Ok(Tensor::cat(&[columns, rows], 2)?.flatten_to(1)?)
}
