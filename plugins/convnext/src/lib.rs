//! ConvNeXt as open_clip, timm and DINOv3 publish it: `convnext`.
//!
//! **The one decision.** Its layers are the four stages, raw: no norm and no head stands behind them. What the
//! released multimodal models call a multi-stage tower is all four, resampled to one grid and joined on channels
//! by the host, so nothing here depends on how many of them somebody wants.
//!
//! The reference implementations drop residual branches at random even in inference, because the tower is left
//! in training mode; here inference is deterministic.
//!
//! Reference: timm's `convnext_*`, arXiv 2201.03545; for DINOv3's layout `transformers.DINOv3ConvNextModel`.
//!
//! ```
//! use candle_core::{DType, Device};
//! use zoo_core::{Spec, weights::Weights};
//!
//! # fn main() -> zoo_core::Result<()> {
//! let spec: Spec = serde_json::from_str(
//!     r#"{"id": "tiny", "architecture": "convnext",
//!         "arch": {"depths": [1, 1, 2, 1], "dims": [8, 16, 32, 64], "image_size": 64}}"#,
//! ).map_err(|e| zoo_core::Error::invalid(e.to_string()))?;
//! let tower = zoo_convnext::load(&spec, &Weights::record(DType::F32), &Device::Cpu)?;
//! let strides: Vec<usize> = tower.descriptor().layers.iter().map(|layer| layer.stride).collect();
//! assert_eq!(strides, [4, 8, 16, 32]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use candle_core::Device;
use zoo_core::weights::{Layout, TensorSource, Weights};
use zoo_core::{Encoder, Result, Spec};
use zoo_nn::convnext::{ConvNeXt, ConvNeXtConfig};

/// What stands behind the last stage, for classification.
const HEAD: &[&str] = &["head.*", "norm_pre.*"];

/// The same names in the first two; in open_clip's checkpoints the tower stands beside a text model. DINOv3's are those
/// of `transformers.DINOv3ConvNextModel`, whose norm stands behind the pooling.
static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "open_clip",
        prefixes: &["visual.trunk."],
        marker: "stem.0.weight",
        map: same,
        ignored: HEAD,
    },
    Layout { name: "timm", prefixes: &[""], marker: "stem.0.weight", map: same, ignored: HEAD },
    Layout {
        name: "dinov3",
        prefixes: &[""],
        marker: "stages.0.downsample_layers.0.weight",
        map: dinov3,
        ignored: &["layer_norm.*"],
    },
];

fn same(name: &str) -> TensorSource {
    TensorSource::key(name)
}

/// The stem is the first stage's way down, and a block's parts have names without `mlp`.
fn dinov3(name: &str) -> TensorSource {
    if let Some(stem) = name.strip_prefix("stem.") {
        return TensorSource::key(format!("stages.0.downsample_layers.{stem}"));
    }
    let parts = [
        ("downsample.", "downsample_layers."),
        ("blocks.", "layers."),
        ("conv_dw.", "depthwise_conv."),
        ("norm.", "layer_norm."),
        ("mlp.fc", "pointwise_conv"),
    ];
    TensorSource::key(parts.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to)))
}

/// Opens a ConvNeXt.
///
/// # Errors
/// [`zoo_core::Error::Arch`] for numbers that do not fit; those of reading the weights.
pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let config = ConvNeXtConfig::from_spec(spec)?;
    Ok(Box::new(ConvNeXt::open(&spec.id, config, &LAYOUTS, weights, device)?))
}

zoo_core::export_plugin! {
    name: "convnext",
    encoders: { "convnext" => load },
}
