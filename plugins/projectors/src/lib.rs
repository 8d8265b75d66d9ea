//! Connectors without spatial bias between encoders: the tokens of all encoders side by side on channels, then one
//! network. The baselines of Cambrian-1 (arXiv 2406.16860, section 3) and LLaVA's connector are among them.
//!
//! **The one decision.** One connector does everything that these have in common (concatenation, checks, unpadding,
//! newlines) and holds a [`Net`] that maps tokens to tokens. So "concat + MLP" is no architecture of its own: it is
//! `mlp_gelu` with several inputs.
//!
//! | architecture | network | optional numbers |
//! |---|---|---|
//! | `linear` | one linear layer | |
//! | `mlp_gelu` | `mlp{n}x_gelu`: `depth` linear layers with GELU between | `depth` |
//! | `identity` | none | |
//! | `se_mlp` | squeeze-and-excitation gate, then two layers | |
//! | `c_abstractor_released` | what Cambrian-1's code calls C-Abstractor: one strided convolution and two layers | `hidden` |
//! | `c_abstractor` | C-Abstractor (arXiv 2312.06742): RegNet blocks around an average pool | `image_token_len`, `hidden`, `depth`, `mlp_depth` |
//! | `resampler` | learnable queries over all tokens (arXiv 2308.12966) | `image_token_len`, `heads` |
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Connector, Spec, weights::Weights};
//!
//! let spec: Spec = serde_json::from_str(r#"{
//!     "id": "demo", "architecture": "mlp_gelu",
//!     "arch": { "inputs": [1152, 1024], "token_len": 576, "output": 4096 }
//! }"#)?;
//! let weights = Weights::record(DType::F32);
//! let projector = zoo_projectors::Projector::load(&spec, &weights, &Device::Cpu)?;
//! assert_eq!(projector.descriptor().side, Some(24));
//! assert_eq!(weights.manifest()[0].shape, [4096, 2176]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod arch;
mod c_abstractor;
mod connector;
mod mlp;
mod regnet;
mod resampler;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Connector, Result, Spec};

pub use arch::Arch;
pub use connector::{Net, Projector};

fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Connector>> {
    Ok(Box::new(Projector::load(spec, weights, device)?))
}

zoo_core::export_plugin! {
    name: "projectors",
    connectors: {
        "linear" => load,
        "mlp_gelu" => load,
        "identity" => load,
        "se_mlp" => load,
        "c_abstractor_released" => load,
        "c_abstractor" => load,
        "resampler" => load,
    },
}
