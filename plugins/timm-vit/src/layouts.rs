//! Where plain ViT checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, TensorSource};
use zoo_nn::vit::layouts::hf_vision_model;

/// open_clip around timm and timm alone share their names below the prefix; Hugging Face's SigLIP splits q, k, v.
/// Attention pooling and classifiers are not part of the features.
pub(crate) static LAYOUTS: [Layout; 2] = [
    Layout {
        name: "timm",
        prefixes: &["visual.trunk.", "", "module.base_encoder.", "module."],
        marker: "patch_embed.proj.weight",
        map: |name| TensorSource::key(name),
        ignored: &["attn_pool.*", "head.*", "fc_norm.*", "pre_logits.*"],
    },
    Layout {
        name: "hf",
        prefixes: &["vision_model.", ""],
        marker: "embeddings.patch_embedding.weight",
        map: hf_vision_model,
        ignored: &["head.*", "embeddings.position_ids"],
    },
];
