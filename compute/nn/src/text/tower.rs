//! The tower itself: ids in, vectors out.

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::{Init, Layout, Params, Weights};
use zoo_core::{Error, Result, TextDescriptor, TextTower, step};

use super::config::{TextConfig, TextPool};
use crate::linear::Linear;
use crate::norm::{Norm, NormKind};
use crate::pool;
use crate::vit::block::{Block, BlockSize};

/// Texts that go through the network at once.
const GROUP: usize = 64;
/// What is added to the score of a token that is not seen: nothing is left of it after any softmax.
const UNSEEN: f32 = -1e30;

/// A text tower. Canonical names: `token_embedding`, `pos_embed`, blocks as those of a
/// [`VisionTransformer`](crate::vit::VisionTransformer), `norm`, `head`, `logit_scale`, `logit_bias`.
pub struct TextTransformer {
    descriptor: TextDescriptor,
    pool: TextPool,
    device: Device,
    tokens: Tensor,
    positions: Tensor,
    /// f32 `[heads, T, T]`: what a causal tower adds to scores.
    unseen: Option<Tensor>,
    blocks: Vec<Block>,
    norm: Norm,
    head: Linear,
}

impl TextTransformer {
    /// Opens the text tower `id`.
    ///
    /// # Errors
    /// Those of [`Weights::params`], [`Params::get`] and [`Params::finish`].
    pub fn open(
        id: &str,
        config: &TextConfig,
        layouts: &'static [Layout],
        weights: &Weights,
        device: &Device,
    ) -> Result<Self> {
        let params = weights.params(layouts, device)?;
        let (width, style, blocks) = (config.embed_dim, config.style, config.blocks());
        let table =
            |name: &str, rows: usize| params.get(name, (rows, width), Init::Normal { mean: 0.0, std: 0.02 });
        let size = BlockSize { width, heads: config.num_heads, mlp: config.mlp_dim };
        let block = |i: usize| Block::load(&params.pp("blocks").pp(i), size, &blocks);
        let (scale, bias) = (
            number(&params, config, "logit_scale")?,
            match style.sigmoid {
                true => Some(number(&params, config, "logit_bias")?),
                false => None,
            },
        );
        let tower = Self {
            tokens: table("token_embedding", config.vocab)?,
            positions: table("pos_embed", config.context)?,
            unseen: style.causal.then(|| unseen(config, device)).transpose()?,
            blocks: (0..config.depth).map(block).collect::<Result<_>>()?,
            norm: Norm::load(NormKind::Layer, &params.pp("norm"), width, style.norm_eps)?,
            head: Linear::load(&params.pp("head"), width, config.project, style.project_bias)?,
            pool: style.pool,
            device: device.clone(),
            descriptor: TextDescriptor {
                id: id.to_owned(),
                vocab: config.vocab,
                context: config.context,
                filled: style.pool == TextPool::Last,
                width: config.project,
                scale: scale.exp(),
                bias,
                parameters: 0,
            },
        };
        let parameters = params.finish()?.parameters;
        Ok(Self { descriptor: TextDescriptor { parameters, ..tower.descriptor }, ..tower })
    }

    fn check(&self, ids: &Tensor) -> Result<()> {
        let TextDescriptor { id, context, filled, .. } = &self.descriptor;
        let (dims, dtype) = (ids.dims(), ids.dtype());
        let fits = match *dims {
            [_, length] if *filled => length == *context,
            [_, length] => (1..=*context).contains(&length),
            _ => false,
        };
        if fits && dtype == DType::U32 {
            return Ok(());
        }
        let most = if *filled { "" } else { "at most " };
        Err(Error::invalid(format!(
            "{id}: texts are u32 ids [B, T] of {most}{context} tokens, got {dims:?} of {dtype:?}"
        )))
    }

    fn group(&self, ids: &Tensor) -> Result<Tensor> {
        let (batch, length) = ids.dims2()?;
        let tokens = self.tokens.index_select(&ids.flatten_all()?, 0)?.reshape((batch, length, ()))?;
        let mut x = tokens.broadcast_add(&self.positions.narrow(0, 0, length)?)?;
        let unseen = match &self.unseen {
            Some(unseen) => Some(unseen.narrow(1, 0, length)?.narrow(2, 0, length)?.contiguous()?),
            None => None,
        };
        for (layer, block) in self.blocks.iter().enumerate() {
            step(layer, self.blocks.len())?;
            x = match &unseen {
                Some(unseen) => block.forward_biased(&x, unseen)?,
                None => block.forward(&x, None)?,
            };
        }
        let rows = x.flatten_to(1)?;
        let rows = rows.index_select(&self.ends(ids)?, 0)?;
        self.head.forward(&self.norm.forward(&rows)?)
    }

    /// Of each text the row of `[B · T]` that becomes its vector.
    fn ends(&self, ids: &Tensor) -> Result<Tensor> {
        let last = |ids: &[u32]| match self.pool {
            TextPool::Last => ids.len().saturating_sub(1),
            TextPool::End => {
                let largest = ids.iter().max();
                ids.iter().position(|id| Some(id) == largest).unwrap_or(0)
            }
        };
        let rows = ids.to_vec2::<u32>()?;
        let ends = rows.iter().enumerate().map(|(row, ids)| (row * ids.len() + last(ids)) as u32);
        Ok(Tensor::from_iter(ends, &self.device)?)
    }
}

/// A number of the model: of one axis of length 1 in Hugging Face's SigLIP, without axes elsewhere.
fn number(params: &Params, config: &TextConfig, name: &str) -> Result<f64> {
    let init = Init::Const(0.0);
    let number = match params.layout() == "hf" && config.style.sigmoid {
        true => params.get(name, 1, init)?.squeeze(0)?,
        false => params.get(name, (), init)?,
    };
    Ok(f64::from(number.to_dtype(DType::F32)?.to_scalar::<f32>()?))
}

fn unseen(config: &TextConfig, device: &Device) -> Result<Tensor> {
    let length = config.context;
    let row = |query: usize| (0..length).map(move |key| if key <= query { 0.0 } else { UNSEEN });
    let scores: Vec<f32> = (0..length).flat_map(row).collect();
    let scores = Tensor::from_vec(scores, (1, length, length), device)?;
    Ok(scores.broadcast_as((config.num_heads, length, length))?.contiguous()?)
}

impl TextTower for TextTransformer {
    fn descriptor(&self) -> &TextDescriptor {
        &self.descriptor
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        self.check(ids)?;
        let vocab = self.descriptor.vocab;
        let batch = ids.dim(0)?;
        if batch == 0 {
            return Err(Error::invalid(format!("{}: there is no text", self.descriptor.id)));
        }
        let largest = ids.flatten_all()?.max(0)?.to_scalar::<u32>()?;
        if largest as usize >= vocab {
            return Err(Error::invalid(format!(
                "{}: there is no token {largest}, the vocabulary has {vocab}; is this the tokenizer of another model?",
                self.descriptor.id
            )));
        }
        pool::within(&self.device, || {
            let groups = (0..batch)
                .step_by(GROUP)
                .map(|first| self.group(&ids.narrow(0, first, GROUP.min(batch - first))?));
            Ok(Tensor::cat(&groups.collect::<Result<Vec<_>>>()?, 0)?)
        })
    }
}
