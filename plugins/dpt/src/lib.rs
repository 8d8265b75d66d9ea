//! Backbones of MiDaS's dense prediction transformers (arXiv 2103.13413, 2307.14460): `dpt-vit`, `dpt-beit`.
//!
//! MiDaS 3.0 stands on a plain ViT whose positions are resampled linearly, MiDaS 3.1 on BEiT, which has none: what a
//! query adds to the score of a key is a number of their distance, of its own in each head and each block. **The one
//! decision.** Features are the backbone's, raw, as the depth head reads them: neck and head are not part of them. The
//! ViT has a final norm, which the head does not use and a request may.
//!
//! Both norm with an epsilon of 1e-12, which vanishes in f16: statistics are computed in f32.
//!
//! References: `transformers.DPTForDepthEstimation` on `DPTConfig` and on `BeitConfig`, timm's `Beit`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{PrefixToken, Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "dpt-beit", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 64, "patch_size": 16, "image_size": 64}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_dpt::load_beit(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! assert_eq!(tower.descriptor().prefix, [PrefixToken::Cls]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod beit;
mod layouts;
mod scores;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Encoder, Result, Spec};
use zoo_nn::encoder::TrunkEncoder;
use zoo_nn::pos_embed::PosMode;
use zoo_nn::vit::{ViT, ViTConfig, ViTStyle};

use beit::{Beit, BeitConfig};

/// The ViT's numbers, for whatever a registry row leaves out.
const STYLE: ViTStyle = ViTStyle { norm_eps: 1e-12, pos_mode: PosMode::Bilinear, ..ViTStyle::PLAIN };

/// Opens the ViT of MiDaS 3.0.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load_vit(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ViTConfig::from_spec(spec, STYLE)?;
    Ok(Box::new(ViT::open(&spec.id, config, &layouts::VIT, weights, device)?))
}

/// Opens the BEiT of MiDaS 3.1.
///
/// # Errors
/// As [`load_vit`].
pub fn load_beit(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = BeitConfig::from_spec(spec)?;
    Ok(Box::new(TrunkEncoder::<Beit>::open(&spec.id, config, &layouts::BEIT, weights, device)?))
}

zoo_core::export_plugin! {
    name: "dpt",
    encoders: { "dpt-vit" => load_vit, "dpt-beit" => load_beit },
}
