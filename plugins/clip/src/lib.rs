//! CLIP: its image tower, `clip-vit`, and its text tower, `clip-text`.
//!
//! A pre-norm ViT with a class token, a patch convolution without bias, QuickGELU and a LayerNorm before the first
//! block (arXiv 2103.00020). **The one decision.** Whether a checkpoint is OpenAI's, a re-trained one (DFN,
//! MetaCLIP, LAION) or another library's port is a matter of names and numbers, so all of them are this crate:
//! four published layouts, told apart by their keys.
//!
//! Off the native size, positions are resampled as timm does it. Reference: `transformers.CLIPVisionModel`,
//! `open_clip.transformer.VisionTransformer`, timm's `vit_*_clip_*`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "clip-vit", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 64, "patch_size": 7, "image_size": 35}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_clip::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
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

/// Numbers that all CLIP towers share unless a registry row says otherwise.
const STYLE: ViTStyle = ViTStyle {
    act: ViTAct::QuickGelu,
    norm_eps: 1e-5,
    patch_bias: false,
    pre_norm: true,
    pool: Some(ViTPool::Class),
    ..ViTStyle::PLAIN
};

/// Opens a CLIP image tower.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

/// Opens the text tower of a CLIP model.
///
/// # Errors
/// As [`load`].
pub fn load_text(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn TextTower>> {
    let config = TextConfig::from_spec(spec, TextStyle::CLIP)?;
    Ok(Box::new(TextTransformer::open(&spec.id, &config, &text::layouts::CLIP, weights, device)?))
}

zoo_core::export_plugin! {
    name: "clip",
    encoders: { "clip-vit" => load },
    texts: { "clip-text" => load_text },
}
