//! Llama and what is built like it: `llama`.
//!
//! Llama 2 and 3 (arXiv 2302.13971, 2407.21783), Vicuna, Mistral with its sliding window (arXiv 2310.06825), Yi and
//! the Hermes models on it. **The one decision.** A registry row has the keys of Hugging Face's `config.json`, so
//! that the file beside a checkpoint can be its row; what the row leaves out has the value that it has there.
//!
//! Checkpoints of multimodal models are read as they are: what belongs to the connector or to encoders is left to
//! them. Reference: `transformers.LlamaForCausalLM`, `transformers.MistralForCausalLM`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "llama", "arch": {"hidden_size": 32, "intermediate_size": 64,
//!         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
//!         "max_position_embeddings": 128, "rms_norm_eps": 1e-5}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let model = zoo_llama::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! // Embeddings and head; per layer q and o, k and v, the three maps of the feed-forward network, two norms.
//! let layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64 + 2 * 32;
//! assert_eq!(model.descriptor().parameters, 2 * 100 * 32 + 2 * layer + 32);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{LanguageModel, Result, Spec};
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle};

/// Matrices apart, no biases.
const STYLE: DecoderStyle = DecoderStyle::LLAMA;

/// Opens a language model.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn LanguageModel>> {
    let config = DecoderConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(Decoder::open(&spec.id, config, weights, device)?))
}

zoo_core::export_plugin! {
    name: "llama",
    llms: { "llama" => load },
}
