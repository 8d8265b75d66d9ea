//! Phi-3 language models: `phi3`.
//!
//! Llama's architecture with q, k, v in one matrix and gate and input of the feed-forward network in another
//! (arXiv 2404.14219). **The one decision.** A registry row has the keys of Hugging Face's `config.json`; the
//! variants for 128 k tokens have a `rope_scaling` of type `longrope`, which early files call `su`. Reference:
//! `transformers.Phi3ForCausalLM`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "phi3", "arch": {"hidden_size": 32, "intermediate_size": 64,
//!         "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100, "max_position_embeddings": 128,
//!         "rms_norm_eps": 1e-5, "sliding_window": 64}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let model = zoo_phi3::load(&spec, &Weights::record(DType::BF16), &Device::Cpu)?;
//! // Keys and values of two layers of 32 channels, two bytes each.
//! assert_eq!(model.descriptor().cache_bytes_per_position, 2 * 2 * 32 * 2);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{LanguageModel, Result, Spec};
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle};

/// Matrices packed, no biases.
const STYLE: DecoderStyle = DecoderStyle { packed: true, ..DecoderStyle::LLAMA };

/// Opens a language model.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn LanguageModel>> {
    let config = DecoderConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(Decoder::open(&spec.id, config, weights, device)?))
}

zoo_core::export_plugin! {
    name: "phi3",
    llms: { "phi3" => load },
}
