//! From the tokens of an image to one vector.

use candle_core::{D, DType, Tensor};
use zoo_core::weights::{Init, Params};
use zoo_core::{EmbeddingInfo, Error, Result};

use super::config::{ViTConfig, ViTPool};
use crate::linear::Linear;
use crate::norm::Norm;
use crate::query_pool::QueryPool;

/// Pooling, and the projection into the space that images share with texts, where there is one.
pub(super) struct Head {
    pool: Pool,
    project: Option<Linear>,
}

enum Pool {
    Class,
    Mean,
    Attention(Box<QueryPool>),
}

/// What a descriptor says of the vector.
pub(super) fn info(config: &ViTConfig) -> Option<EmbeddingInfo> {
    let pooled = match config.style.pool? {
        ViTPool::Class => "class token",
        ViTPool::Mean => "mean of the patch tokens",
        ViTPool::Attention => "attention pooling",
    };
    Some(match config.project {
        None => EmbeddingInfo { width: config.embed_dim, about: pooled.to_owned() },
        Some(width) => EmbeddingInfo { width, about: format!("{pooled}, projected") },
    })
}

impl Head {
    /// None for a network without one.
    pub(super) fn load(params: &Params, config: &ViTConfig) -> Result<Option<Self>> {
        let Some(pool) = config.style.pool else { return Ok(None) };
        let width = config.embed_dim;
        let pool = match pool {
            ViTPool::Class => Pool::Class,
            ViTPool::Mean => Pool::Mean,
            ViTPool::Attention => {
                let at = params.pp("attn_pool");
                Pool::Attention(Box::new(QueryPool::load(&at, config)?))
            }
        };
        let project = |outputs| Linear::load(&params.pp("head"), width, outputs, config.style.project_bias);
        Ok(Some(Self { pool, project: config.project.map(project).transpose()? }))
    }

    /// `[B, D]` of tokens `[B, P + N, C]` after the last block, of which the first `prefix` are no patches.
    pub(super) fn forward(&self, norm: Option<&Norm>, tokens: &Tensor, prefix: usize) -> Result<Tensor> {
        let normed = |tokens: &Tensor| match norm {
            Some(norm) => norm.forward(tokens),
            None => Ok(tokens.clone()),
        };
        let pooled = match &self.pool {
            Pool::Class if prefix == 0 => return Err(Error::Internal("a class token without one".into())),
            Pool::Class => normed(&tokens.narrow(1, 0, 1)?.contiguous()?)?.squeeze(1)?,
            Pool::Mean => {
                let patches = normed(tokens)?.narrow(1, prefix, tokens.dim(1)? - prefix)?;
                let dtype = patches.dtype();
                patches.to_dtype(DType::F32)?.mean(D::Minus2)?.to_dtype(dtype)?
            }
            Pool::Attention(pool) => pool.forward(&normed(tokens)?)?,
        };
        match &self.project {
            Some(project) => project.forward(&pooled.contiguous()?),
            None => Ok(pooled),
        }
    }
}

impl QueryPool {
    fn load(params: &Params, config: &ViTConfig) -> Result<Self> {
        let (width, style) = (config.embed_dim, &config.style);
        let query = params.get("latent", (1, 1, width), Init::Normal { mean: 0.0, std: 0.02 })?;
        let norm = Norm::load(style.norm.into(), &params.pp("norm"), width, style.norm_eps)?;
        Self::read(params, query, (config.pool_heads, config.pool_mlp), norm, style.act.into())
    }
}
