//! Where checkpoints keep the encoder's tensors. Canonical names are timm's.

use zoo_core::weights::{Layout, TensorSource};

/// The mask decoder reads the neck, features do not unless a row asks for it.
const NECK: &[&str] = &["neck.*"];

pub(crate) static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "original",
        prefixes: &["image_encoder.", ""],
        marker: "blocks.0.mlp.lin1.weight",
        map: |name| TensorSource::key(name.replace("mlp.fc", "mlp.lin")),
        ignored: NECK,
    },
    Layout {
        name: "timm",
        prefixes: &[""],
        marker: "blocks.0.attn.rel_pos_h",
        map: |name| TensorSource::key(name),
        ignored: &["neck.*", "head.*"],
    },
    Layout {
        name: "hf",
        prefixes: &["vision_encoder.", ""],
        marker: "layers.0.attn.rel_pos_h",
        map: hf,
        ignored: NECK,
    },
];

fn hf(name: &str) -> TensorSource {
    if let Some(rest) = name.strip_prefix("blocks.") {
        let rest = rest.replace("norm", "layer_norm").replace("mlp.fc", "mlp.lin");
        return TensorSource::key(format!("layers.{rest}"));
    }
    let leaf = name.rsplit('.').next().unwrap_or_default();
    match name.rsplit_once('.').map_or(name, |(front, _)| front) {
        "patch_embed.proj" => TensorSource::key(format!("patch_embed.projection.{leaf}")),
        "neck.0" => TensorSource::key(format!("neck.conv1.{leaf}")),
        "neck.1" => TensorSource::key(format!("neck.layer_norm1.{leaf}")),
        "neck.2" => TensorSource::key(format!("neck.conv2.{leaf}")),
        "neck.3" => TensorSource::key(format!("neck.layer_norm2.{leaf}")),
        _ => TensorSource::key(name),
    }
}
