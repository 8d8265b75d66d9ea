//! Where image towers of open_clip keep their tensors.

use zoo_core::weights::{Layout, TensorSource};
use zoo_nn::vit::layouts::{hf_vision_model, open_clip};

/// open_clip's own ViT, the same weights as Hugging Face's CLIP (both stand in the repositories of DFN), timm.
pub(crate) static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "open_clip",
        prefixes: &["visual.", ""],
        marker: "class_embedding",
        map: open_clip,
        ignored: &["proj"],
    },
    Layout {
        name: "hf",
        prefixes: &["vision_model.", ""],
        marker: "embeddings.class_embedding",
        map: hf_vision_model,
        ignored: &["embeddings.position_ids"],
    },
    Layout {
        name: "timm",
        prefixes: &["visual.trunk.", ""],
        marker: "cls_token",
        map: |name| TensorSource::key(name),
        ignored: &["head.*", "fc_norm.*"],
    },
];
