//! A vision transformer as numbers.

use serde::{Deserialize, Serialize};
use zoo_core::{Error, Grid, Result, Spec};

use crate::activation::Activation;
use crate::axial::{AxialRope, Places};
use crate::mlp::MlpKind;
use crate::norm::NormKind;
use crate::pos_embed::PosMode;

/// What a block's feed-forward network applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViTAct {
    /// Exact GELU.
    GeluErf,
    /// GELU's tanh approximation.
    GeluTanh,
    /// `x σ(1.702 x)`.
    QuickGelu,
    /// A gated network with SiLU; `mlp_dim` is its width after gating.
    Swiglu,
}

/// What normalises tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViTNorm {
    /// LayerNorm.
    Layer,
    /// RMSNorm.
    Rms,
}

impl From<ViTNorm> for NormKind {
    fn from(norm: ViTNorm) -> Self {
        match norm {
            ViTNorm::Layer => Self::Layer,
            ViTNorm::Rms => Self::Rms,
        }
    }
}

impl From<ViTAct> for MlpKind {
    fn from(act: ViTAct) -> Self {
        match act {
            ViTAct::GeluErf => Self::Plain(Activation::GeluErf),
            ViTAct::GeluTanh => Self::Plain(Activation::GeluTanh),
            ViTAct::QuickGelu => Self::Plain(Activation::QuickGelu),
            ViTAct::Swiglu => Self::SwiGlu,
        }
    }
}

/// What makes one vector of the tokens of an image, which are normalised before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViTPool {
    /// The class token.
    Class,
    /// The mean of the patch tokens.
    Mean,
    /// Attention of one learnt query to all tokens, and a feed-forward network on what it finds.
    Attention,
}

/// What the members of a family share; a plugin's defaults, each of which a registry row may override under the
/// same name.
#[derive(Debug, Clone, PartialEq)]
pub struct ViTStyle {
    /// Activation.
    pub act: ViTAct,
    /// What normalises tokens.
    pub norm: ViTNorm,
    /// Epsilon of every norm.
    pub norm_eps: f64,
    /// Whether q, k and v have biases.
    pub qkv_bias: bool,
    /// Whether the other maps of a block have biases.
    pub bias: bool,
    /// Whether q and k are normalised by RMSNorms over the channels of all heads.
    pub qk_norm: bool,
    /// Whether a LayerNorm stands between the heads and the map that joins them.
    pub attn_norm: bool,
    /// Whether a LayerNorm stands before the last map of the feed-forward network.
    pub mlp_norm: bool,
    /// Whether the patch convolution has a bias.
    pub patch_bias: bool,
    /// Whether patches are normalised before positions are added.
    pub patch_norm: bool,
    /// Whether a LayerNorm stands before the first block.
    pub pre_norm: bool,
    /// Whether a class token goes first.
    pub class_token: bool,
    /// Whether the position table has a row for the class token.
    pub class_pos: bool,
    /// Register tokens after the class token; positions are never added to them.
    pub registers: usize,
    /// Whether class and register tokens are stored as one tensor, `prefix_token`.
    pub joined_prefix: bool,
    /// Whether the patch convolution is stored as a matrix `[C, 3 · patch²]`.
    pub patch_matrix: bool,
    /// Whether each branch is scaled per channel.
    pub layer_scale: bool,
    /// Whether a LayerNorm stands after the last block.
    pub final_norm: bool,
    /// Whether there is a table of positions.
    pub positions: bool,
    /// How positions are resampled away from the native size.
    pub pos_mode: PosMode,
    /// Rotary positions of q and k.
    pub rope: Option<AxialRope>,
    /// What makes one vector of an image, where something does.
    pub pool: Option<ViTPool>,
    /// Whether its projection, where there is one, has a bias.
    pub project_bias: bool,
}

impl ViTStyle {
    /// The ViT of arXiv 2010.11929 as timm builds it. A family says what it does otherwise.
    pub const PLAIN: Self = Self {
        act: ViTAct::GeluErf,
        norm: ViTNorm::Layer,
        norm_eps: 1e-6,
        qkv_bias: true,
        bias: true,
        qk_norm: false,
        attn_norm: false,
        mlp_norm: false,
        patch_bias: true,
        patch_norm: false,
        pre_norm: false,
        class_token: true,
        class_pos: true,
        registers: 0,
        joined_prefix: false,
        patch_matrix: false,
        layer_scale: false,
        final_norm: true,
        positions: true,
        pos_mode: PosMode::BicubicAntialias,
        rope: None,
        pool: None,
        project_bias: false,
    };
}

impl Default for ViTStyle {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// The keys of a registry row's `arch` table. The six numbers are required; the rest defaults to the family's
/// [`ViTStyle`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViTArch {
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
    mlp_dim: usize,
    patch_size: usize,
    image_size: usize,
    act: Option<ViTAct>,
    norm: Option<ViTNorm>,
    norm_eps: Option<f64>,
    qkv_bias: Option<bool>,
    qk_norm: Option<bool>,
    patch_bias: Option<bool>,
    pre_norm: Option<bool>,
    class_token: Option<bool>,
    class_pos: Option<bool>,
    registers: Option<usize>,
    layer_scale: Option<bool>,
    final_norm: Option<bool>,
    pos_mode: Option<PosMode>,
    /// Side of the position table, where it is not that of the native grid.
    pos_grid: Option<usize>,
    /// Cells of an axis that rotary positions were trained with.
    rope_reference: Option<usize>,
    pool: Option<ViTPool>,
    /// Heads of the pooling attention, where they are not as many as a block's.
    pool_heads: Option<usize>,
    /// Inner width of the network behind the pooling attention, where it is not that of a block's.
    pool_mlp: Option<usize>,
    /// Width of the vector, where what is pooled is projected.
    project: Option<usize>,
    project_bias: Option<bool>,
}

/// A vision transformer: pre-norm blocks on patch tokens (arXiv 2010.11929).
#[derive(Debug, Clone, PartialEq)]
pub struct ViTConfig {
    /// Width `D`.
    pub embed_dim: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Inner width of the feed-forward network.
    pub mlp_dim: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Side in pixels of the image that the weights were made for.
    pub image_size: usize,
    /// Side of the position table in cells.
    pub pos_grid: usize,
    /// Heads of the pooling attention.
    pub pool_heads: usize,
    /// Inner width of the network behind it.
    pub pool_mlp: usize,
    /// Width of what is pooled after its projection, where there is one.
    pub project: Option<usize>,
    /// The rest.
    pub style: ViTStyle,
}

impl ViTConfig {
    /// The numbers of a registry row over the defaults of its family.
    ///
    /// # Errors
    /// [`Error::Arch`] for an unknown or missing key and for numbers that contradict one another.
    pub fn from_spec(spec: &Spec, style: ViTStyle) -> Result<Self> {
        let arch: ViTArch = spec.arch()?;
        let class_token = arch.class_token.unwrap_or(style.class_token);
        let rope = style.rope.map(|rope| match (rope.places, arch.rope_reference) {
            (Places::Stretched { offset, .. }, Some(reference)) => {
                AxialRope { places: Places::Stretched { reference, offset }, ..rope }
            }
            _ => rope,
        });
        let config = Self {
            embed_dim: arch.embed_dim,
            depth: arch.depth,
            num_heads: arch.num_heads,
            mlp_dim: arch.mlp_dim,
            patch_size: arch.patch_size,
            image_size: arch.image_size,
            pos_grid: arch.pos_grid.unwrap_or(arch.image_size / arch.patch_size.max(1)),
            pool_heads: arch.pool_heads.unwrap_or(arch.num_heads),
            pool_mlp: arch.pool_mlp.unwrap_or(arch.mlp_dim),
            project: arch.project,
            style: ViTStyle {
                act: arch.act.unwrap_or(style.act),
                norm: arch.norm.unwrap_or(style.norm),
                norm_eps: arch.norm_eps.unwrap_or(style.norm_eps),
                qkv_bias: arch.qkv_bias.unwrap_or(style.qkv_bias),
                qk_norm: arch.qk_norm.unwrap_or(style.qk_norm),
                patch_bias: arch.patch_bias.unwrap_or(style.patch_bias),
                pre_norm: arch.pre_norm.unwrap_or(style.pre_norm),
                class_token,
                class_pos: class_token && arch.class_pos.unwrap_or(style.class_pos),
                registers: arch.registers.unwrap_or(style.registers),
                layer_scale: arch.layer_scale.unwrap_or(style.layer_scale),
                final_norm: arch.final_norm.unwrap_or(style.final_norm),
                pos_mode: arch.pos_mode.unwrap_or(style.pos_mode),
                rope,
                pool: arch.pool.or(style.pool),
                project_bias: arch.project_bias.unwrap_or(style.project_bias),
                ..style
            },
        };
        config.check().map_err(|message| Error::Arch { id: spec.id.clone(), message })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let numbers = [
            ("embed_dim", self.embed_dim),
            ("depth", self.depth),
            ("num_heads", self.num_heads),
            ("mlp_dim", self.mlp_dim),
            ("patch_size", self.patch_size),
            ("image_size", self.image_size),
            ("pool_heads", self.pool_heads),
            ("pool_mlp", self.pool_mlp),
            ("project", self.project.unwrap_or(1)),
        ];
        if let Some((name, _)) = numbers.iter().find(|(_, number)| *number == 0) {
            return Err(format!("`{name}` must not be 0"));
        }
        if let Some((name, number)) = numbers.iter().find(|(_, number)| *number > 1 << 20) {
            return Err(format!("`{name}` = {number} is absurd"));
        }
        if !self.embed_dim.is_multiple_of(self.num_heads) {
            return Err(format!(
                "`embed_dim` = {} is no multiple of `num_heads` = {}",
                self.embed_dim, self.num_heads
            ));
        }
        if !self.embed_dim.is_multiple_of(self.pool_heads) {
            return Err(format!(
                "`embed_dim` = {} is no multiple of `pool_heads` = {}",
                self.embed_dim, self.pool_heads
            ));
        }
        if self.style.pool == Some(ViTPool::Class) && !self.style.class_token && !self.style.joined_prefix {
            return Err("`pool` = \"class\", but there is no class token".to_owned());
        }
        if self.project.is_some() && self.style.pool.is_none() {
            return Err(
                "`project` is the width of a vector, and `pool` does not say what it is made of".to_owned()
            );
        }
        if self.style.rope.is_some() && !self.embed_dim.is_multiple_of(4 * self.num_heads) {
            return Err(format!(
                "rotary positions need heads of a multiple of 4 channels, and `embed_dim` / `num_heads` is {}",
                self.embed_dim / self.num_heads
            ));
        }
        if let Some(AxialRope { places: Places::Stretched { reference: 0, .. }, .. }) = self.style.rope {
            return Err("`rope_reference` must not be 0".to_owned());
        }
        if self.image_size < self.patch_size {
            return Err(format!(
                "`image_size` = {} is smaller than `patch_size` = {}",
                self.image_size, self.patch_size
            ));
        }
        if !(1..=1 << 12).contains(&self.pos_grid) {
            return Err(format!(
                "`pos_grid` = {}, but a table has between 1 and 4096 cells a side",
                self.pos_grid
            ));
        }
        Ok(())
    }

    /// Grid of the position table: as a rule that of the native image, of which pixels beyond the last whole patch are
    /// not seen: 384 / 14 gives 27.
    pub fn table_grid(&self) -> Grid {
        Grid::square(self.pos_grid)
    }

    /// Tokens before the patch tokens.
    pub fn prefix_tokens(&self) -> usize {
        usize::from(self.style.class_token) + self.style.registers
    }
}
