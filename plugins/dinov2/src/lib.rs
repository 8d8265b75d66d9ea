//! DINOv2: `dinov2`.
//!
//! A pre-norm ViT/14 with a class token and layer scale, a SwiGLU network in the giant, registers in the later
//! releases (arXiv 2304.07193, 2309.16588). **The one decision.** How the 37 × 37 position table is resampled is a
//! number of the row, `pos_mode`, because the same weights were used with three of them: `bicubic_offset` (the
//! original code and transformers up to 4.37, hence the features of released multimodal models; the default),
//! `bicubic` (transformers since) and `bicubic_antialias` (models with registers, timm).
//!
//! Reference: `transformers.Dinov2Model`, `Dinov2WithRegistersModel`, timm's `vit_*_dinov2`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "dinov2", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 48, "patch_size": 14, "image_size": 70, "act": "swiglu"}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_dinov2::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! assert_eq!(tower.descriptor().prefix.len(), 1);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod layouts;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Encoder, Result, Spec};
use zoo_nn::pos_embed::PosMode;
use zoo_nn::vit::{ViT, ViTConfig, ViTPool, ViTStyle};

/// Numbers that all DINOv2 models share unless a registry row says otherwise.
const STYLE: ViTStyle = ViTStyle {
    layer_scale: true,
    pos_mode: PosMode::BicubicOffset,
    pool: Some(ViTPool::Class),
    ..ViTStyle::PLAIN
};

/// Opens a DINOv2 model.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "dinov2",
    encoders: { "dinov2" => load },
}
