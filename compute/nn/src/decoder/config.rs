//! A decoder as numbers.

use super::scaling::RopeConfig;
use super::style::DecoderStyle;

/// More of anything is a slip.
pub(super) const MOST: usize = 1 << 24;

/// A decoder-only transformer. [`DecoderConfig::from_spec`] reads one.
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
    /// How many positions a token sees, itself included, in layers that are `windowed`.
    pub sliding_window: Option<usize>,
    /// Per layer, whether it has the window; the others see everything.
    pub windowed: Vec<bool>,
    /// Factor on attention scores: `head_dim^-1/2` unless the row has a `query_pre_attn_scalar`.
    pub attention_scale: f64,
    /// A cap `c` on attention scores: `c · tanh(score / c)` (arXiv 2408.00118, section 2).
    pub attention_cap: Option<f64>,
    /// The same on logits.
    pub logit_cap: Option<f64>,
    /// Whether the head is the embedding table.
    pub tie_word_embeddings: bool,
    /// The rest. `attention_bias` of a row overrides both biases, `hidden_act` the activation.
    pub style: DecoderStyle,
}

impl DecoderConfig {
    pub(super) fn check(&self) -> Result<(), String> {
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
        if let Some((name, number)) = numbers.iter().find(|(_, number)| *number > MOST) {
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
        let positive = [
            ("query_pre_attn_scalar", Some(self.attention_scale)),
            ("attn_logit_softcapping", self.attention_cap),
            ("final_logit_softcapping", self.logit_cap),
        ];
        for (name, value) in positive {
            if value.is_some_and(|value| !value.is_finite() || value <= 0.0) {
                return Err(format!("`{name}` must be positive"));
            }
        }
        if !self.rms_norm_eps.is_finite() || self.rms_norm_eps < 0.0 {
            return Err(format!("`rms_norm_eps` = {} must not be negative", self.rms_norm_eps));
        }
        Ok(())
    }

    /// How many positions a token sees in `layer`, itself included; all of them if `None`.
    pub fn window(&self, layer: usize) -> Option<usize> {
        self.sliding_window.filter(|_| self.windowed.get(layer) == Some(&true))
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
