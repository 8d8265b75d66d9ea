//! The keys of an `arch` table, with the names and the defaults of Hugging Face's `config.json`.

use serde::Deserialize;
use zoo_core::{Error, Result, Spec};

use super::config::{DecoderConfig, MOST};
use super::scaling::{RawScaling, Stretched};
use super::style::{DecoderStyle, Windows};
use crate::activation::Activation;

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
    original_max_position_embeddings: Option<f64>,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    rope_scaling: Option<RawScaling>,
    /// What newer versions of transformers write in place of the three above.
    rope_parameters: Option<RawScaling>,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<LayerType>>,
    tie_word_embeddings: Option<bool>,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    use_bidirectional_attention: Option<bool>,
    hidden_act: Option<String>,
    hidden_activation: Option<String>,
    query_pre_attn_scalar: Option<f64>,
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayerType {
    FullAttention,
    SlidingAttention,
}

/// Default `rope_theta`.
const THETA: f64 = 10_000.0;
/// Default `max_window_layers`.
const WINDOWED_FROM: usize = 28;

impl DecoderConfig {
    /// The numbers of a row over the defaults of its family.
    ///
    /// # Errors
    /// [`Error::Arch`] for an unknown or missing key, for numbers that contradict one another and for a kind of
    /// `rope_scaling` that is not implemented.
    pub fn from_spec(spec: &Spec, style: DecoderStyle) -> Result<Self> {
        let fault = |message| Error::Arch { id: spec.id.clone(), message };
        // Null is how `config.json` says that a key has no value.
        let mut spec = spec.clone();
        spec.arch.retain(|_, value| !value.is_null());
        let config = spec.arch::<DecoderArch>()?.read(style).map_err(fault)?;
        config.check().map_err(fault)?;
        Ok(config)
    }
}

impl DecoderArch {
    fn read(self, style: DecoderStyle) -> Result<DecoderConfig, String> {
        let (width, heads) = (self.hidden_size, self.num_attention_heads);
        if self.head_dim.is_none() && (heads == 0 || !width.is_multiple_of(heads)) {
            return Err(format!(
                "`hidden_size` = {width} is no multiple of `num_attention_heads` = {heads}, and there is no \
                 `head_dim`"
            ));
        }
        let head_dim = self.head_dim.unwrap_or_else(|| width / heads.max(1));
        let refused =
            [("mlp_bias", self.mlp_bias), ("use_bidirectional_attention", self.use_bidirectional_attention)];
        if let Some((name, _)) = refused.iter().find(|(_, value)| *value == Some(true)) {
            return Err(format!("`{name}` = true is not implemented"));
        }
        let activation = self.activation(style.activation)?;
        let windowed = self.windowed(style.windows)?;
        let raw = self.rope_scaling.or(self.rope_parameters).unwrap_or_default();
        let rope = raw.read(Stretched {
            head_dim,
            theta: self.rope_theta.unwrap_or(THETA),
            partial: self.partial_rotary_factor,
            positions: self.max_position_embeddings,
            original: self.original_max_position_embeddings,
        })?;
        Ok(DecoderConfig {
            hidden_size: width,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: self.num_key_value_heads.unwrap_or(heads),
            head_dim,
            vocab_size: self.vocab_size,
            max_position_embeddings: self.max_position_embeddings,
            rms_norm_eps: self.rms_norm_eps,
            rope,
            sliding_window: self.sliding_window,
            windowed,
            attention_scale: self.query_pre_attn_scalar.unwrap_or(head_dim as f64).powf(-0.5),
            attention_cap: self.attn_logit_softcapping,
            logit_cap: self.final_logit_softcapping,
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(style.tied),
            style: DecoderStyle {
                qkv_bias: self.attention_bias.unwrap_or(style.qkv_bias),
                output_bias: self.attention_bias.unwrap_or(style.output_bias),
                activation,
                ..style
            },
        })
    }

    fn activation(&self, family: Activation) -> Result<Activation, String> {
        match self.hidden_activation.as_deref().or(self.hidden_act.as_deref()) {
            None => Ok(family),
            Some("silu" | "swish") => Ok(Activation::Silu),
            Some("gelu_pytorch_tanh" | "gelu_new" | "gelu_fast") => Ok(Activation::GeluTanh),
            // The first Gemma files say so and mean the tanh form, and so does transformers.
            Some("gelu") if family == Activation::GeluTanh => Ok(family),
            Some("gelu") => Ok(Activation::GeluErf),
            Some(other) => Err(format!(
                "`hidden_act` = \"{other}\" is not implemented; known: silu, gelu, gelu_pytorch_tanh"
            )),
        }
    }

    /// Per layer, whether it has the sliding window.
    fn windowed(&self, windows: Windows) -> Result<Vec<bool>, String> {
        let depth = self.num_hidden_layers;
        let used = self.use_sliding_window.unwrap_or(windows != Windows::Last);
        if let Some(types) = &self.layer_types
            && types.len() != depth
        {
            return Err(format!(
                "`layer_types` has {} entries for `num_hidden_layers` = {depth}",
                types.len()
            ));
        }
        if self.sliding_window.is_none() || !used {
            return Ok(vec![false; depth.min(MOST)]);
        }
        if let Some(types) = &self.layer_types {
            return Ok(types.iter().map(|&kind| kind == LayerType::SlidingAttention).collect());
        }
        let first = self.max_window_layers.unwrap_or(WINDOWED_FROM);
        let has = |layer: usize| match windows {
            Windows::All => true,
            Windows::Last => layer >= first,
            Windows::Even => layer.is_multiple_of(2),
        };
        Ok((0..depth.min(MOST)).map(has).collect())
    }
}
