//! Gemma language models: `gemma` and `gemma2`.
//!
//! Llama's architecture with tied embeddings that are scaled on their way in, norms that multiply by `1 + weight`, and
//! the tanh form of GELU (arXiv 2403.08295); the second generation adds norms behind both branches, a sliding window
//! in every other layer and caps on attention scores and logits (arXiv 2408.00118). **The one decision.** A registry
//! row has the keys of Hugging Face's `config.json`; caps, windows and `query_pre_attn_scalar` are as the row has them,
//! absent meaning none.
//!
//! Whatever enters the first layer is scaled, image tokens included: see [`zoo_nn::decoder`]. Reference:
//! `transformers.GemmaForCausalLM`, `transformers.Gemma2ForCausalLM`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "gemma", "arch": {"hidden_size": 32, "intermediate_size": 64,
//!         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16,
//!         "vocab_size": 100, "max_position_embeddings": 128, "rms_norm_eps": 1e-6}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let model = zoo_gemma::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! // One table for both ends; heads may be wider than their share of the width.
//! let layer = 2 * 32 * 64 + 2 * 32 * 16 + 3 * 32 * 64 + 2 * 32;
//! assert_eq!(model.descriptor().parameters, 100 * 32 + 2 * layer + 32);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{LanguageModel, Result, Spec};
use zoo_nn::activation::Activation;
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle, Windows};

/// The first generation.
const GEMMA: DecoderStyle = DecoderStyle {
    tied: true,
    activation: Activation::GeluTanh,
    unit_offset: true,
    scaled_input: true,
    ..DecoderStyle::LLAMA
};
/// The second.
const GEMMA2: DecoderStyle = DecoderStyle { post_norms: true, windows: Windows::Even, ..GEMMA };

/// Opens a model of the first generation.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn LanguageModel>> {
    open(spec, GEMMA, weights, device)
}

/// Opens a model of the second generation.
///
/// # Errors
/// Those of [`load`].
pub fn load2(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn LanguageModel>> {
    open(spec, GEMMA2, weights, device)
}

fn open(
    spec: &Spec,
    style: DecoderStyle,
    weights: &Weights,
    device: &Device,
) -> Result<Box<dyn LanguageModel>> {
    let config = DecoderConfig::from_spec(spec, style)?;
    Ok(Box::new(Decoder::open(&spec.id, config, weights, device)?))
}

zoo_core::export_plugin! {
    name: "gemma",
    llms: { "gemma" => load, "gemma2" => load2 },
}
