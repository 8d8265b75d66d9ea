//! Stable Diffusion 2.1 (arXiv 2112.10752) as an encoder: `sd-unet`.
//!
//! An image becomes latents by the VAE's encoder, noise is added as at a time step, and the UNet looks at it once with the
//! context of an empty prompt. **The one decision.** Its layers are the four up blocks of the UNet, each on its own grid;
//! what Cambrian-1 calls the features, all four on one grid, is what the host makes of several layers.
//!
//! The time step (`step`) and the noise (`noise`) are options of the call. Whoever gives no noise gets that of a fixed
//! seed, the same for every image: nothing here is random. The reference adds fresh noise in each call.
//!
//! The context is made of the text encoder once, when the weights are read; a file with a tensor `empty_prompt_embeds`
//! takes its place. Reference: `diffusers.UNet2DConditionModel`, `diffusers.AutoencoderKL`, `transformers.CLIPTextModel`,
//! with the exact GELU throughout.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "sd-unet", "arch": {"unet_channels": [8, 12, 16, 16], "unet_heads": [2, 3, 4, 4],
//!         "context_dim": 12, "vae_channels": [8, 8, 12, 12], "text_depth": 1, "text_heads": 3, "text_mlp_dim": 24,
//!         "text_vocab": 20, "norm_groups": 4, "image_size": 64}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_sd_unet::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! let options: Vec<_> = tower.descriptor().options.iter().map(|option| option.name.as_str()).collect();
//! assert_eq!(options, ["step", "noise"]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod blocks;
mod config;
mod layouts;
mod noise;
mod text;
mod trunk;
mod unet;
mod vae;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Encoder, Result, Spec};
use zoo_nn::encoder::TrunkEncoder;

use config::Config;
use trunk::Diffusion;

/// Opens a diffusion model as an encoder.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = Config::from_spec(spec)?;
    Ok(Box::new(TrunkEncoder::<Diffusion>::open(&spec.id, config, &layouts::LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "sd-unet",
    encoders: { "sd-unet" => load },
}
