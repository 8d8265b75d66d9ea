//! AIMv2: `aimv2`.
//!
//! A pre-norm ViT that was trained to go on with pictures and texts (arXiv 2411.14402): RMSNorm everywhere and once more
//! between patches and positions, gated networks, no class token, and no bias but that of the patches.
//! **The one decision.** Off the native size positions are resampled as timm does it, as for every ViT with a table here.
//!
//! Reference: `transformers.Aimv2VisionModel`, timm's `aimv2_*`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "aimv2", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 48, "patch_size": 14, "image_size": 70}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_aimv2::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
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
use zoo_nn::vit::{ViT, ViTAct, ViTConfig, ViTNorm, ViTPool, ViTStyle};

/// What rows share unless they say otherwise.
const STYLE: ViTStyle = ViTStyle {
    act: ViTAct::Swiglu,
    norm: ViTNorm::Rms,
    norm_eps: 1e-5,
    qkv_bias: false,
    bias: false,
    patch_norm: true,
    class_token: false,
    class_pos: false,
    pool: Some(ViTPool::Mean),
    ..ViTStyle::PLAIN
};

/// Opens an AIMv2 model.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "aimv2",
    encoders: { "aimv2" => load },
}
