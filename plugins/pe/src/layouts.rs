//! Where Perception Encoder checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, TensorSource};
use zoo_nn::vit::layouts::open_clip;

/// timm, alone or in open_clip, and the files of the makers, which are named as open_clip names its own ViT. Attention
/// pooling and projections are not part of the features.
pub(crate) static LAYOUTS: [Layout; 2] = [
    Layout {
        name: "timm",
        prefixes: &["", "visual.trunk."],
        marker: "patch_embed.proj.weight",
        map: timm,
        ignored: &["head.*", "fc_norm.*", "attn_pool.*"],
    },
    Layout {
        name: "original",
        prefixes: &["visual.", ""],
        marker: "conv1.weight",
        map: original,
        ignored: &["proj", "attn_pool.*"],
    },
];

/// Attention pooling has the names of PyTorch's module.
fn original(name: &str) -> TensorSource {
    let Some(rest) = name.strip_prefix("attn_pool.") else { return open_clip(name) };
    match rest.split_once('.') {
        None => TensorSource::key("attn_pool.probe"),
        Some(("q", leaf)) => in_projection(leaf, 0..1),
        Some(("kv", leaf)) => in_projection(leaf, 1..3),
        Some(("proj", leaf)) => TensorSource::key(format!("attn_pool.attn.out_proj.{leaf}")),
        Some(("norm", leaf)) => TensorSource::key(format!("attn_pool.layernorm.{leaf}")),
        Some(_) => TensorSource::key(name.replace("fc1", "c_fc").replace("fc2", "c_proj")),
    }
}

fn in_projection(leaf: &str, parts: std::ops::Range<usize>) -> TensorSource {
    TensorSource::Part { key: format!("attn_pool.attn.in_proj_{leaf}"), parts, of: 3 }
}

/// Layer scale has its names from EVA.
fn timm(name: &str) -> TensorSource {
    TensorSource::key(name.replace(".ls1.gamma", ".gamma_1").replace(".ls2.gamma", ".gamma_2"))
}
