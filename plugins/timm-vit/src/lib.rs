//! Plain ViTs as timm publishes them, `timm-vit`, and SigLIP's text towers, `siglip-text`.
//!
//! SigLIP's image towers first (arXiv 2303.15343): no class token, biases everywhere, a final LayerNorm; its
//! pooling head makes one vector of an image (`pool = "attention"`) and is not part of the maps. **The one decision.** Defaults are SigLIP's, and whatever else is a
//! plain pre-norm ViT with learned or stored positions is the same architecture with `class_token = true` in its
//! registry row.
//!
//! The activation is part of the row: the weights that open_clip and timm publish run with exact GELU
//! (`gelu_erf`, the default), the same weights under `google/` with its tanh form (`gelu_tanh`). Reference: timm's
//! `VisionTransformer`, `transformers.SiglipVisionModel`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Grid, Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "timm-vit", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 64, "patch_size": 14, "image_size": 58}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_timm_vit::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! // 58 is no multiple of 14: the last two rows and columns are not seen.
//! assert_eq!(tower.descriptor().grid(0, 58, 58)?, Grid::square(4));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod layouts;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Encoder, Result, Spec, TextTower};
use zoo_nn::text::{self, TextConfig, TextStyle, TextTransformer};
use zoo_nn::vit::{ViT, ViTConfig, ViTStyle};

/// SigLIP's numbers, for whatever a registry row leaves out.
const STYLE: ViTStyle = ViTStyle { class_token: false, ..ViTStyle::PLAIN };

/// Opens a plain ViT.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

/// Opens the text tower of a SigLIP model.
///
/// # Errors
/// As [`load`].
pub fn load_text(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn TextTower>> {
    let config = TextConfig::from_spec(spec, TextStyle::SIGLIP)?;
    Ok(Box::new(TextTransformer::open(&spec.id, &config, &text::layouts::SIGLIP, weights, device)?))
}

zoo_core::export_plugin! {
    name: "timm-vit",
    encoders: { "timm-vit" => load },
    texts: { "siglip-text" => load_text },
}
