//! The text encoder, for one text: none.

use candle_core::{DType, Tensor};
use zoo_core::Result;
use zoo_core::weights::{Init, Params};
use zoo_nn::activation::Activation;
use zoo_nn::attention::SelfAttention;
use zoo_nn::linear::Residual;
use zoo_nn::mlp::{Mlp, MlpKind};
use zoo_nn::norm::LayerNorm;

use crate::config::{Config, PROMPT};

const EPS: f64 = 1e-5;
/// Far below all scores, and a number: softmax makes nothing of it.
const UNSEEN: f32 = -1e30;

/// What the encoder makes of an empty prompt, `[77, C]` in the dtype of the weights; zeros where there are none to read.
pub(crate) fn context(params: &Params, config: &Config) -> Result<Tensor> {
    let (width, init) = (config.context_dim, Init::Normal { mean: 0.0, std: 0.02 });
    if params.layout() == "embeds" {
        return Ok(params.get("empty_prompt_embeds", (1, PROMPT, width), init)?.squeeze(0)?);
    }
    let params = params.pp("text");
    let tokens = params.get("token_embed", (config.text_vocab, width), init)?;
    let positions = params.get("pos_embed", (PROMPT, width), init)?;
    let blocks = (0..config.text_depth)
        .map(|i| Block::load(&params.pp("blocks").pp(i), config))
        .collect::<Result<Vec<_>>>()?;
    let norm = LayerNorm::load(&params.pp("norm"), width, EPS)?;
    if params.is_recording() {
        return Ok(Tensor::zeros((PROMPT, width), params.dtype(), &params.device())?);
    }
    // Begin, end, and what the tokenizer fills up with, which is its first token.
    let vocab = config.text_vocab as u32;
    let mut ids = vec![0u32; PROMPT];
    (ids[0], ids[1]) = (vocab - 2, vocab - 1);
    let ids = Tensor::new(ids, tokens.device())?;
    let mut x = (tokens.index_select(&ids, 0)? + positions)?.unsqueeze(0)?;
    let bias = causal(config.text_heads, &params)?;
    for block in &blocks {
        x = block.forward(&x, &bias)?;
    }
    Ok(norm.forward(&x)?.squeeze(0)?)
}

/// Of later tokens nothing is seen: f32 `[heads, 77, 77]`.
fn causal(heads: usize, params: &Params) -> Result<Tensor> {
    let bias: Vec<f32> = (0..PROMPT)
        .flat_map(|query| (0..PROMPT).map(move |key| if key > query { UNSEEN } else { 0.0 }))
        .collect();
    let bias = Tensor::from_vec(bias, (1, PROMPT, PROMPT), &params.device())?.to_dtype(DType::F32)?;
    Ok(bias.broadcast_as((heads, PROMPT, PROMPT))?.contiguous()?)
}

struct Block {
    norm1: LayerNorm,
    attn: SelfAttention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn load(params: &Params, config: &Config) -> Result<Self> {
        let width = config.context_dim;
        let kind = MlpKind::Plain(Activation::GeluErf);
        Ok(Self {
            norm1: LayerNorm::load(&params.pp("norm1"), width, EPS)?,
            attn: SelfAttention::load(&params.pp("attn"), width, config.text_heads, true)?,
            norm2: LayerNorm::load(&params.pp("norm2"), width, EPS)?,
            mlp: Mlp::load(&params.pp("mlp"), width, config.text_mlp_dim, kind)?,
        })
    }

    fn forward(&self, x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let shortcut = Residual { shortcut: x, scale: None };
        let x = self.attn.forward_biased(&self.norm1, x, bias, Some(shortcut))?;
        self.mlp.forward_normed(&self.norm2, &x, Some(Residual { shortcut: &x, scale: None }))
    }
}
