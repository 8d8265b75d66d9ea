//! A text tower as numbers.

use serde::{Deserialize, Serialize};
use zoo_core::{Error, Result, Spec};

use crate::vit::{ViTAct, ViTStyle};

/// Which token becomes the vector of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPool {
    /// The first of those with the largest id: the end of the text, which is the last word of CLIP's vocabulary.
    End,
    /// The last one, whatever it is; every text is filled up to the whole context.
    Last,
}

/// What the members of a family share; each of it may stand in a registry row under the same name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextStyle {
    /// Activation.
    pub act: ViTAct,
    /// Epsilon of every norm.
    pub norm_eps: f64,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
    /// Which token becomes the vector.
    pub pool: TextPool,
    /// Whether the projection has a bias.
    pub project_bias: bool,
    /// Whether an image and a text fit or do not, by a sigmoid with a bias, or texts compete for an image.
    pub sigmoid: bool,
}

impl TextStyle {
    /// CLIP's (arXiv 2103.00020).
    pub const CLIP: Self = Self {
        act: ViTAct::QuickGelu,
        norm_eps: 1e-5,
        causal: true,
        pool: TextPool::End,
        project_bias: false,
        sigmoid: false,
    };
    /// SigLIP's (arXiv 2303.15343).
    pub const SIGLIP: Self = Self {
        act: ViTAct::GeluErf,
        norm_eps: 1e-6,
        causal: false,
        pool: TextPool::Last,
        project_bias: true,
        sigmoid: true,
    };
}

/// The keys of a registry row's `text.arch` table. The seven numbers are required; the rest defaults to the family's
/// [`TextStyle`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextArch {
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
    mlp_dim: usize,
    vocab: usize,
    context: usize,
    project: usize,
    act: Option<ViTAct>,
    norm_eps: Option<f64>,
    causal: Option<bool>,
    pool: Option<TextPool>,
    project_bias: Option<bool>,
    sigmoid: Option<bool>,
}

/// A text tower.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Width of its tokens.
    pub embed_dim: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Inner width of the feed-forward network.
    pub mlp_dim: usize,
    /// Rows of the embedding table.
    pub vocab: usize,
    /// The most tokens of a text.
    pub context: usize,
    /// Width of its vectors.
    pub project: usize,
    /// The rest.
    pub style: TextStyle,
}

impl TextConfig {
    /// The numbers of a registry row over the defaults of its family.
    ///
    /// # Errors
    /// [`Error::Arch`] for an unknown or missing key and for numbers that contradict one another.
    pub fn from_spec(spec: &Spec, style: TextStyle) -> Result<Self> {
        let arch: TextArch = spec.arch()?;
        let config = Self {
            embed_dim: arch.embed_dim,
            depth: arch.depth,
            num_heads: arch.num_heads,
            mlp_dim: arch.mlp_dim,
            vocab: arch.vocab,
            context: arch.context,
            project: arch.project,
            style: TextStyle {
                act: arch.act.unwrap_or(style.act),
                norm_eps: arch.norm_eps.unwrap_or(style.norm_eps),
                causal: arch.causal.unwrap_or(style.causal),
                pool: arch.pool.unwrap_or(style.pool),
                project_bias: arch.project_bias.unwrap_or(style.project_bias),
                sigmoid: arch.sigmoid.unwrap_or(style.sigmoid),
            },
        };
        config.check().map_err(|message| Error::Arch { id: spec.id.clone(), message })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        for (name, number) in [
            ("embed_dim", self.embed_dim),
            ("depth", self.depth),
            ("num_heads", self.num_heads),
            ("mlp_dim", self.mlp_dim),
            ("vocab", self.vocab),
            ("context", self.context),
            ("project", self.project),
        ] {
            if !(1..=1 << 20).contains(&number) {
                return Err(format!("`{name}` = {number} is no number between 1 and {}", 1 << 20));
            }
        }
        if !self.embed_dim.is_multiple_of(self.num_heads) {
            return Err(format!(
                "`embed_dim` = {} is no multiple of `num_heads` = {}",
                self.embed_dim, self.num_heads
            ));
        }
        Ok(())
    }

    /// How its blocks are built: those of a plain ViT.
    pub(super) fn blocks(&self) -> ViTStyle {
        ViTStyle { act: self.style.act, norm_eps: self.style.norm_eps, ..ViTStyle::PLAIN }
    }
}
