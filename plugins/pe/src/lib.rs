//! Perception Encoder: `pe`.
//!
//! CLIP's network, with a LayerNorm before the first block, learned positions, and rotary ones on q and k as well
//! (arXiv 2504.13181). `core` has a final norm; `lang` and `spatial`, which were made of its middle layers, have none, and
//! some have layer scale. **The one decision.** The rotary positions of models with a class token begin at 1, those of models
//! without one at 0; so that is no number of a row.
//!
//! Reference: timm's `vit_pe_*`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "pe", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 48, "patch_size": 14, "image_size": 70}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_pe::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
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
use zoo_nn::axial::{AxialRope, Pairing, Places};
use zoo_nn::vit::{ViT, ViTConfig, ViTStyle};

/// What rows share unless they say otherwise.
const STYLE: ViTStyle = ViTStyle {
    norm_eps: 1e-5,
    patch_bias: false,
    pre_norm: true,
    rope: Some(rope(24, 1.0)),
    ..ViTStyle::PLAIN
};

const fn rope(reference: usize, offset: f64) -> AxialRope {
    AxialRope {
        theta: 10_000.0,
        places: Places::Stretched { reference, offset },
        columns_first: true,
        pairing: Pairing::Neighbours,
    }
}

/// Opens a Perception Encoder.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let mut config = ViTConfig::from_spec(spec, STYLE)?;
    if let (false, Some(AxialRope { places: Places::Stretched { reference, .. }, .. })) =
        (config.style.class_token, config.style.rope)
    {
        config.style.rope = Some(rope(reference, 0.0));
    }
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "pe",
    encoders: { "pe" => load },
}
