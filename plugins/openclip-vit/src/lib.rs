//! Models of open_clip: their image towers, `openclip-vit`, and their text towers, `openclip-text`.
//!
//! CLIP trained again by others, on other pictures and texts: DFN (arXiv 2309.17425), MetaCLIP (2309.16671), LAION-2B,
//! DataComp. The network is that of `clip`; **the one decision** is what is taken of it: the final LayerNorm on every token,
//! as open_clip gives tokens, and the exact GELU unless a row says `quick_gelu`, as open_clip's own configurations do.
//!
//! Reference: `open_clip.transformer.VisionTransformer` with `output_tokens`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "openclip-vit", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 48, "patch_size": 14, "image_size": 70}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_openclip_vit::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! assert_eq!(tower.descriptor().layers.len(), 2);
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
use zoo_nn::vit::{ViT, ViTAct, ViTConfig, ViTPool, ViTStyle};

/// What rows share unless they say otherwise.
const STYLE: ViTStyle = ViTStyle {
    norm_eps: 1e-5,
    patch_bias: false,
    pre_norm: true,
    pool: Some(ViTPool::Class),
    ..ViTStyle::PLAIN
};

/// Opens an image tower of open_clip.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

/// Opens the text tower of a model of open_clip.
///
/// # Errors
/// As [`load`].
pub fn load_text(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn TextTower>> {
    let config = TextConfig::from_spec(spec, TextStyle { act: ViTAct::GeluErf, ..TextStyle::CLIP })?;
    Ok(Box::new(TextTransformer::open(&spec.id, &config, &text::layouts::OPEN_CLIP, weights, device)?))
}

zoo_core::export_plugin! {
    name: "openclip-vit",
    encoders: { "openclip-vit" => load },
    texts: { "openclip-text" => load_text },
}
