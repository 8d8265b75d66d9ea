//! Qwen 2 and 2.5 language models: `qwen2`.
//!
//! Llama's architecture with biases on q, k and v (arXiv 2407.10671). **The one decision.** A registry row has the keys
//! of Hugging Face's `config.json`, so that the file beside a checkpoint can be its row: a `sliding_window` counts only
//! with `use_sliding_window`, and only from `max_window_layers` on. Reference: `transformers.Qwen2ForCausalLM`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "qwen2", "arch": {"hidden_size": 32, "intermediate_size": 64,
//!         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
//!         "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "tie_word_embeddings": true}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let weights = Weights::record(DType::F32);
//! let model = zoo_qwen2::load(&spec, &weights, &Device::Cpu)?;
//! assert_eq!(model.descriptor().hidden, 32);
//! // Embeddings and the last norm; twelve tensors a layer, three of them biases.
//! assert_eq!(weights.manifest().len(), 2 + 2 * 12);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{LanguageModel, Result, Spec};
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle, Windows};

/// Biases on q, k and v; windows in the last layers.
const STYLE: DecoderStyle = DecoderStyle { qkv_bias: true, windows: Windows::Last, ..DecoderStyle::LLAMA };

/// Opens a language model.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn LanguageModel>> {
    let config = DecoderConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(Decoder::open(&spec.id, config, weights, device)?))
}

zoo_core::export_plugin! {
    name: "qwen2",
    llms: { "qwen2" => load },
}
