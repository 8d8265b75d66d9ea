//! Where CLIP checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, TensorSource};
use zoo_nn::vit::layouts::{hf_vision_model, open_clip};

/// Hugging Face, open_clip's own ViT, timm. A Hugging Face model saved alone by transformers 5 has no prefix.
pub(crate) static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "hf",
        prefixes: &["vision_model.", ""],
        marker: "embeddings.class_embedding",
        map: hf_vision_model,
        ignored: &["embeddings.position_ids"],
    },
    Layout {
        name: "open_clip",
        prefixes: &["visual.", ""],
        marker: "class_embedding",
        map: open_clip,
        ignored: &["proj"],
    },
    Layout {
        name: "timm",
        prefixes: &["visual.trunk.", ""],
        marker: "cls_token",
        map: |name| TensorSource::key(name),
        ignored: &["head.*", "fc_norm.*"],
    },
];
