//! C-RADIO: `c-radio`.
//!
//! A plain ViT/16 that learnt from several teachers at once (arXiv 2412.07679, 2601.17237), with a class token for each of
//! them and registers, in one tensor, and no final norm. **The one decision.** Its table of positions is one of 128 × 128
//! cells, whatever the image; it is brought to a square of the longer side, of which the upper left part is taken, as the
//! makers' code does it when it is not training.
//!
//! Of the class tokens the first is called so here, and the others registers, as in timm's port. Reference: timm's
//! `vit_*_radio_*`, through its own conversion of the published names.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "c-radio", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 48, "patch_size": 14, "image_size": 70}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_c_radio::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
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
use zoo_nn::pos_embed::PosMode;
use zoo_nn::vit::{ViT, ViTConfig, ViTStyle};

/// What rows share unless they say otherwise.
const STYLE: ViTStyle = ViTStyle {
    patch_bias: false,
    class_pos: false,
    joined_prefix: true,
    patch_matrix: true,
    final_norm: false,
    pos_mode: PosMode::BilinearCropped,
    ..ViTStyle::PLAIN
};

/// Opens a C-RADIO model.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "c-radio",
    encoders: { "c-radio" => load },
}
