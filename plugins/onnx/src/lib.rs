//! Vision networks that were exported to ONNX: `onnx`.
//!
//! **The one decision.** What a graph cannot say of itself stands in the registry row: which of its outputs are feature
//! maps, in which layout, how many channels and pixels a cell has, which tokens are none of the grid. So an encoder is a
//! row and a file, and this plugin knows no network. What the file does not have, or gives otherwise than the row says, is
//! an error that names both.
//!
//! Images go through the graph one by one: an exported graph may insist on one image, and so an image gives the same
//! features whatever stands beside it. Graphs compute in the types that they were exported with, on the CPU; features are
//! rounded to the type that was asked for at the end. There are no gradients.
//!
//! The graph is run by `rten`, which is Rust alone: no library has to be found when an encoder is opened.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Grid, Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "mine", "architecture": "onnx", "arch": {"image_size": 224, "multiple_of": 32,
//!         "outputs": [{"name": "features", "channels": 1280, "stride": 32}]}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_onnx::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! assert_eq!(tower.descriptor().grid(0, 224, 256)?, Grid { h: 7, w: 8 });
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod encoder;
mod graph;

use candle_core::Device;
use zoo_core::weights::Weights;
use zoo_core::{Encoder, Error, Result, Spec};

use config::Config;
use encoder::OnnxEncoder;

/// Opens an exported network.
///
/// # Errors
/// [`Error::Arch`] for numbers that do not fit; [`Error::InvalidInput`] when the weights are not one `.onnx` file;
/// [`Error::File`] when the file is no graph that can be run, or lacks an input or output that the row names.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = Config::from_spec(spec)?;
    if !device.is_cpu() {
        return Err(Error::unsupported(&spec.id, "another device than the CPU"));
    }
    let files = weights.graphs();
    let file = match files.as_slice() {
        [file] => Some(file.as_path()),
        [] if weights.is_recording() => None,
        files => {
            return Err(Error::invalid(format!(
                "{}: {} files end in .onnx; an exported network is one such file",
                spec.id,
                files.len()
            )));
        }
    };
    Ok(Box::new(OnnxEncoder::open(spec, config, file)?))
}

zoo_core::export_plugin! {
    name: "onnx",
    encoders: { "onnx" => load },
}
