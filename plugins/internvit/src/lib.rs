//! InternViT: `internvit`.
//!
//! The eyes of InternVL (arXiv 2312.14238, 2412.05271): a pre-norm ViT/14 at 448 px with layer scale and without a final norm.
//! The large one has RMSNorm, no bias of q, k and v, and normalises q and k over the channels of all heads together.
//! **The one decision.** Tokens come as they are; language models of the family join four of them into one.
//!
//! Reference: timm's `vit_intern300m_patch14_448`, `transformers.InternVLVisionModel`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "internvit", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 48, "patch_size": 14, "image_size": 70}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_internvit::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! assert_eq!(tower.descriptor().layers.len(), 2);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod layouts;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Encoder, Result, Spec};
use zoo_nn::vit::{ViT, ViTConfig, ViTStyle};

/// What rows share unless they say otherwise.
const STYLE: ViTStyle = ViTStyle { layer_scale: true, final_norm: false, ..ViTStyle::PLAIN };

/// Opens an InternViT.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "internvit",
    encoders: { "internvit" => load },
}
