//! DINOv3: `dinov3`.
//!
//! A pre-norm ViT/16 with a class token, four registers and layer scale, and without a table of positions: only q and k know
//! them, by angles of the centres of cells in -1..1 (arXiv 2508.10104). So any size is a size of its own, and none is
//! resampled. The largest have gated networks. **The one decision.** Wavelengths are computed in f32, as timm and
//! transformers do; the original code keeps them rounded to bf16.
//!
//! Reference: `transformers.DINOv3ViTModel`, timm's `vit_*_patch16_dinov3`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "dinov3", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 48, "patch_size": 16, "image_size": 64}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_dinov3::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! assert_eq!(tower.descriptor().prefix.len(), 5);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod layouts;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Encoder, Result, Spec};
use zoo_nn::axial::{AxialRope, Pairing, Places};
use zoo_nn::vit::{ViT, ViTConfig, ViTPool, ViTStyle};

/// What rows share unless they say otherwise.
const STYLE: ViTStyle = ViTStyle {
    norm_eps: 1e-5,
    registers: 4,
    layer_scale: true,
    positions: false,
    class_pos: false,
    rope: Some(AxialRope {
        theta: 100.0,
        places: Places::Centred,
        columns_first: false,
        pairing: Pairing::Halves,
    }),
    pool: Some(ViTPool::Class),
    ..ViTStyle::PLAIN
};

/// Opens a DINOv3 model.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "dinov3",
    encoders: { "dinov3" => load },
}
