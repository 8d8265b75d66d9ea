//! Where checkpoints keep a decoder's tensors.

use zoo_core::weights::{Layout, TensorSource};

/// Keys beside the language model: what a multimodal checkpoint of the Cambrian-1 or LLaVA family holds besides,
/// and the rotary frequencies that old versions of transformers stored.
const BESIDE: [&str; 4] =
    ["model.mm_projector*", "model.vision_*", "model.image_newline", "model.layers.*.rotary_emb.inv_freq"];
/// [`BESIDE`], and a copy of the embedding table.
const BESIDE_TIED: [&str; 5] = [BESIDE[0], BESIDE[1], BESIDE[2], BESIDE[3], "lm_head.weight"];

/// The layout `hf` of Hugging Face: `packed` and `tied` as in [`super::DecoderConfig`]. Also finds the language
/// model inside a LLaVA checkpoint of transformers, whose keys begin with `language_model.`.
pub fn layout(packed: bool, tied: bool) -> Layout {
    Layout {
        name: "hf",
        prefixes: &["", "language_model."],
        marker: if packed {
            "model.layers.0.self_attn.qkv_proj.weight"
        } else {
            "model.layers.0.self_attn.q_proj.weight"
        },
        map: |name| TensorSource::key(name),
        ignored: if tied { &BESIDE_TIED } else { &BESIDE },
    }
}
