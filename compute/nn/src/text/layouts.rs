//! Published names of text towers. The image tower, which stands in the same file, is nobody's concern here.

use zoo_core::weights::{Layout, TensorSource};

use crate::vit::layouts::{block, hf_vision_model, open_clip as open_clip_block};

/// CLIP's: Hugging Face, open_clip (by itself or behind `text.`, where its image tower is not its own).
pub static CLIP: [Layout; 2] = [CLIP_HF, CLIP_OPEN];

/// The same, of those that open_clip trained.
pub static OPEN_CLIP: [Layout; 2] = [CLIP_OPEN, CLIP_HF];

const CLIP_HF: Layout = Layout {
    name: "hf",
    prefixes: &["text_model."],
    marker: "embeddings.token_embedding.weight",
    map: |name| match name {
        "head.weight" => TensorSource::Beside("text_projection.weight".to_owned()),
        _ => hf(name),
    },
    ignored: &["embeddings.position_ids"],
};

const CLIP_OPEN: Layout = Layout {
    name: "open_clip",
    prefixes: &["text.", ""],
    marker: "token_embedding.weight",
    map: |name| match name {
        "head.weight" => TensorSource::Transposed("text_projection".to_owned()),
        _ => open_clip(name),
    },
    ignored: OTHERS,
};

/// SigLIP's: open_clip, Hugging Face.
pub static SIGLIP: [Layout; 2] = [
    Layout {
        name: "open_clip",
        prefixes: &["text.", ""],
        marker: "text_projection.weight",
        map: |name| match name.strip_prefix("head.") {
            Some(leaf) => TensorSource::key(format!("text_projection.{leaf}")),
            None => open_clip(name),
        },
        ignored: OTHERS,
    },
    Layout {
        name: "hf",
        prefixes: &["text_model."],
        marker: "head.weight",
        map: hf,
        ignored: &["embeddings.position_ids"],
    },
];

/// What stands beside the text tower where it has no prefix: the image tower, a mask that is computed, and numbers of the
/// files that OpenAI published.
const OTHERS: &[&str] = &["visual.*", "attn_mask", "input_resolution", "context_length", "vocab_size"];

fn hf(name: &str) -> TensorSource {
    if block(name).is_some() {
        return hf_vision_model(name);
    }
    match name {
        "token_embedding" => TensorSource::key("embeddings.token_embedding.weight"),
        "pos_embed" => TensorSource::key("embeddings.position_embedding.weight"),
        "logit_scale" | "logit_bias" => TensorSource::Beside(name.to_owned()),
        _ => match name.strip_prefix("norm.") {
            Some(leaf) => TensorSource::key(format!("final_layer_norm.{leaf}")),
            None => TensorSource::key(name),
        },
    }
}

fn open_clip(name: &str) -> TensorSource {
    if block(name).is_some() {
        return open_clip_block(name);
    }
    match name {
        "token_embedding" => TensorSource::key("token_embedding.weight"),
        "pos_embed" => TensorSource::key("positional_embedding"),
        "logit_scale" | "logit_bias" => TensorSource::Beside(name.to_owned()),
        _ => match name.strip_prefix("norm.") {
            Some(leaf) => TensorSource::key(format!("ln_final.{leaf}")),
            None => TensorSource::key(name),
        },
    }
}
