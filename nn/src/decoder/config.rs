//! A decoder as numbers.

use serde::Deserialize;
use zoo_core::{Error, Result, Spec};

use super::rope::{RawScaling, RopeConfig};

/// What the members of a family share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderStyle {
    /// Whether checkpoints hold q, k, v in one matrix `qkv_proj`, and gate and input of the feed-forward network in
    /// one `gate_up_proj`, in this order along the rows.
    pub packed: bool,
    /// Whether q, k and v have biases.
    pub qkv_bias: bool,
    /// Whether the output of the attention has one.
    pub output_bias: bool,
}

/// The keys of an `arch` table, with the names and the defaults of Hugging Face's `config.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecoderArch {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    #[serde(default = "rope_theta")]
    rope_theta: f64,
    rope_scaling: Option<RawScaling>,
    sliding_window: Option<usize>,
    #[serde(default)]
    tie_word_embeddings: bool,
    attention_bias: Option<bool>,
}

fn rope_theta() -> f64 {
    10_000.0
}

/// A decoder-only transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    /// Width `H`.
    pub hidden_size: usize,
    /// Inner width of the gated feed-forward network.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads, each serving as many query heads (arXiv 2305.13245).
    pub num_key_value_heads: usize,
    /// Channels of a head; `hidden_size / num_attention_heads` unless stated.
    pub head_dim: usize,
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Epsilon of every RMSNorm.
    pub rms_norm_eps: f64,
    /// Rotary positions.
    pub rope: RopeConfig,
    /// How many positions a token sees, itself included; all of them if `None`.
    pub sliding_window: Option<usize>,
    /// Whether the head is the embedding table.
    pub tie_word_embeddings: bool,
    /// The rest. `attention_bias` of a row overrides both biases.
    pub style: DecoderStyle,
}

impl DecoderConfig {
    /// The numbers of a row over the defaults of its family.
    ///
    /// # Errors
    /// [`Error::Arch`] for an unknown or missing key, for numbers that contradict one another and for a kind of
    /// `rope_scaling` that is not implemented.
    pub fn from_spec(spec: &Spec, style: DecoderStyle) -> Result<Self> {
        let fault = |message| Error::Arch { id: spec.id.clone(), message };
        let arch: DecoderArch = spec.arch()?;
        let heads = arch.num_attention_heads;
        if arch.head_dim.is_none() && (heads == 0 || !arch.hidden_size.is_multiple_of(heads)) {
            return Err(fault(format!(
                "`hidden_size` = {} is no multiple of `num_attention_heads` = {heads}, and there is no `head_dim`",
                arch.hidden_size
            )));
        }
        let scaling = arch.rope_scaling.map(RawScaling::read).transpose().map_err(fault)?.flatten();
        let config = Self {
            hidden_size: arch.hidden_size,
            intermediate_size: arch.intermediate_size,
            num_hidden_layers: arch.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: arch.num_key_value_heads.unwrap_or(heads),
            head_dim: arch.head_dim.unwrap_or_else(|| arch.hidden_size / heads.max(1)),
            vocab_size: arch.vocab_size,
            max_position_embeddings: arch.max_position_embeddings,
            rms_norm_eps: arch.rms_norm_eps,
            rope: RopeConfig { theta: arch.rope_theta, scaling },
            sliding_window: arch.sliding_window,
            tie_word_embeddings: arch.tie_word_embeddings,
            style: DecoderStyle {
                packed: style.packed,
                qkv_bias: arch.attention_bias.unwrap_or(style.qkv_bias),
                output_bias: arch.attention_bias.unwrap_or(style.output_bias),
            },
        };
        config.check().map_err(fault)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let numbers = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("sliding_window", self.sliding_window.unwrap_or(1)),
        ];
        if let Some((name, _)) = numbers.iter().find(|(_, number)| *number == 0) {
            return Err(format!("`{name}` must not be 0"));
        }
        if let Some((name, number)) = numbers.iter().find(|(_, number)| *number > 1 << 24) {
            return Err(format!("`{name}` = {number} is absurd"));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Err(format!(
                "`num_attention_heads` = {} is no multiple of `num_key_value_heads` = {}",
                self.num_attention_heads, self.num_key_value_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(format!("`head_dim` = {} is odd: rotary positions turn pairs", self.head_dim));
        }
        if !self.rope.theta.is_finite() || self.rope.theta <= 0.0 {
            return Err(format!("`rope_theta` = {} must be positive", self.rope.theta));
        }
        if !self.rms_norm_eps.is_finite() || self.rms_norm_eps < 0.0 {
            return Err(format!("`rms_norm_eps` = {} must not be negative", self.rms_norm_eps));
        }
        Ok(())
    }

    /// Channels of all query heads.
    pub fn query_channels(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Channels of all key heads, and of all value heads.
    pub fn key_channels(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }
}
