//! The Spatial Vision Aggregator of Cambrian-1 (arXiv 2406.16860, section 3): learnable queries on a grid, each
//! attending over the cells that lie under it in every encoder's feature map; the same once more between the
//! layers of the language model.
//!
//! **The one decision.** Attention is local, but projections are not done window by window: keys and values are
//! computed per token in raster order, and only then gathered into windows and heads, in a single copy. What is
//! local is described by [`Windows`] alone, which every other module asks.
//!
//! Checkpoints are those of the released models: a whole language model (the connector's tensors under `model.`)
//! or the connector alone.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Connector, Spec, weights::Weights};
//!
//! let spec: Spec = serde_json::from_str(r#"{
//!     "id": "demo", "architecture": "sva",
//!     "arch": {
//!         "vision_hidden_size": 32, "inputs": [12, 40], "token_lens": [16, 256], "output": 48,
//!         "image_token_len": 16, "query_num_list": [16], "connector_depth": 2
//!     }
//! }"#)?;
//! // Without a file: what would a checkpoint have to hold?
//! let weights = Weights::record(DType::F32);
//! let sva = zoo_sva::Sva::load(&spec, &weights, &Device::Cpu)?;
//! assert_eq!(sva.descriptor().side, Some(4));
//! assert_eq!(weights.manifest().len(), 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod arch;
mod attention;
mod connector;
mod layer;
mod parts;
mod sampler;
mod scene;
mod window;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Connector, Result, Spec};

pub use arch::{Arch, LayerType};
pub use connector::Sva;
pub use window::Windows;

fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Connector>> {
    Ok(Box::new(Sva::load(spec, weights, device)?))
}

zoo_core::export_plugin! {
    name: "sva",
    connectors: { "sva" => load },
}
