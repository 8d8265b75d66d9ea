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
        map: open_clip,
        ignored: &["proj", "attn_pool.*"],
    },
];

/// Layer scale has its names from EVA.
fn timm(name: &str) -> TensorSource {
    TensorSource::key(name.replace(".ls1.gamma", ".gamma_1").replace(".ls2.gamma", ".gamma_2"))
}
