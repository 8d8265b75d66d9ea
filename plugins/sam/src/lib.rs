//! The image encoder of Segment Anything (arXiv 2304.02643), a ViTDet (2203.16527): `sam-vit`.
//!
//! Most blocks attend within windows, a few to all cells; what a query adds to the score of a key depends on the
//! distance of their rows and on that of their columns. **The one decision.** Its layers are the blocks, raw: no norm
//! stands behind the last. The neck, which makes 256 channels of them for the mask decoder, is one layer more where a row
//! asks for it (`neck = 256`): it changes the channels, so it cannot be the final norm that timm takes it for.
//!
//! Away from the native size the position table is resampled as timm does it (bicubic, with antialiasing) and the
//! vectors of distances linearly. The released code of Cambrian-1 reads no weight of this encoder, as it does not take the
//! prefix off; here what is missing is an error.
//!
//! References: `transformers.SamVisionModel`, timm's `VisionTransformerSAM` with an epsilon of 1e-6.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Grid, Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "sam-vit", "arch": {"embed_dim": 32, "depth": 2, "num_heads": 4,
//!         "mlp_dim": 64, "patch_size": 16, "image_size": 80, "window_size": 3, "global_attn_indexes": [1]}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_sam::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! assert_eq!(tower.descriptor().grid(1, 80, 96)?, Grid { h: 5, w: 6 });
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod block;
mod config;
mod layouts;
mod neck;
mod trunk;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Encoder, Result, Spec};
use zoo_nn::encoder::TrunkEncoder;

use config::Config;
use trunk::Sam;

/// Opens an image encoder of Segment Anything.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = Config::from_spec(spec)?;
    Ok(Box::new(TrunkEncoder::<Sam>::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "sam",
    encoders: { "sam-vit" => load },
}
