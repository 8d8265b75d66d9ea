//! EVA-CLIP-02: its image tower, `eva02`, and its text tower, `eva02-text`.
//!
//! A pre-norm ViT with learned *and* rotary positions, gated networks, and a LayerNorm inside each of a block's two halves:
//! between the heads and the map that joins them, and before the last map of the gated network (arXiv 2303.11331, 2303.15389).
//! **The one decision.** How long an axis is for the rotary positions does not hang on the image but on the row
//! (`rope_reference`, the cells of an axis in pre-training), so that other sizes see the positions of training.
//!
//! Reference: timm's `eva02_*_clip_*`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "eva02", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 48, "patch_size": 14, "image_size": 70}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_eva02::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
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
use zoo_nn::axial::{AxialRope, Pairing, Places};
use zoo_nn::text::{self, TextConfig, TextStyle, TextTransformer};
use zoo_nn::vit::{ViT, ViTAct, ViTConfig, ViTPool, ViTStyle};

/// What rows share unless they say otherwise.
const STYLE: ViTStyle = ViTStyle {
    act: ViTAct::Swiglu,
    attn_norm: true,
    mlp_norm: true,
    rope: Some(AxialRope {
        theta: 10_000.0,
        places: Places::Stretched { reference: 16, offset: 0.0 },
        columns_first: false,
        pairing: Pairing::Neighbours,
    }),
    pool: Some(ViTPool::Class),
    project_bias: true,
    ..ViTStyle::PLAIN
};

/// Opens an EVA-02 tower.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

/// Opens the text tower of an EVA-CLIP-02.
///
/// # Errors
/// As [`load`].
pub fn load_text(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn TextTower>> {
    let config = TextConfig::from_spec(spec, TextStyle { act: ViTAct::GeluErf, ..TextStyle::CLIP })?;
    Ok(Box::new(TextTransformer::open(&spec.id, &config, &text::layouts::OPEN_CLIP, weights, device)?))
}

zoo_core::export_plugin! {
    name: "eva02",
    encoders: { "eva02" => load },
    texts: { "eva02-text" => load_text },
}
