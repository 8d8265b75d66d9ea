//! Where plain ViT checkpoints keep the trunk's tensors.

use zoo_core::weights::Layout;
use zoo_nn::vit::layouts::{hf_vision_model, hf_vit, timm};

/// open_clip around timm and timm alone share their names below the prefix, and so do the original files of MAE and
/// MAWS (no prefix), MoCo v3 (the trained one of its two encoders) and I-JEPA; Hugging Face splits q, k, v, under one set
/// of names for SigLIP and another for I-JEPA. Attention pooling and classifiers are not part of the features.
pub(crate) static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "timm",
        prefixes: &["visual.trunk.", "", "module.base_encoder.", "module."],
        marker: "patch_embed.proj.weight",
        map: timm,
        ignored: &["attn_pool.*", "head.*", "fc_norm.*", "pre_logits.*"],
    },
    Layout {
        name: "hf",
        prefixes: &["vision_model.", ""],
        marker: "embeddings.patch_embedding.weight",
        map: hf_vision_model,
        ignored: &["head.*", "embeddings.position_ids"],
    },
    Layout {
        name: "hf-vit",
        prefixes: &["", "ijepa."],
        marker: "embeddings.patch_embeddings.projection.weight",
        map: hf_vit,
        ignored: &["classifier.*", "pooler.*", "embeddings.mask_token"],
    },
];
