//! Where checkpoints keep the backbones' tensors. Canonical names are timm's.

use zoo_core::weights::{Layout, Piece, TensorSource};
use zoo_nn::vit::layouts::{block, hf_vit};

/// Hugging Face, and the original release, which wraps timm's model.
pub(crate) static VIT: [Layout; 2] = [
    Layout {
        name: "hf",
        prefixes: &["dpt.", ""],
        marker: "embeddings.position_embeddings",
        map: hf_vit,
        ignored: &["neck.*", "head.*", "pooler.*"],
    },
    Layout {
        name: "original",
        prefixes: &["pretrained.model.", ""],
        marker: "pos_embed",
        map: |name| TensorSource::key(name),
        ignored: &["head.*"],
    },
];

pub(crate) static BEIT: [Layout; 2] = [
    Layout {
        name: "hf",
        prefixes: &["backbone.", ""],
        marker: "encoder.layer.0.lambda_1",
        map: hf_beit,
        // The index of each pair of cells follows from the grid. Heads stand beside the backbone.
        ignored: &["encoder.layer.*relative_position_index", "embeddings.mask_token", "neck.*", "head.*"],
    },
    Layout {
        name: "timm",
        prefixes: &["pretrained.model.", ""],
        marker: "blocks.0.attn.relative_position_bias_table",
        map: timm_beit,
        ignored: &["blocks.*relative_position_index", "head.*", "fc_norm.*", "norm.*", "mask_token"],
    },
];

/// Keys have no bias: their part of it is zeros.
fn without_key_bias(query: String, value: String) -> TensorSource {
    TensorSource::Concat(vec![Piece::Key(query), Piece::Zeros, Piece::Key(value)])
}

fn hf_beit(name: &str) -> TensorSource {
    let Some((i, rest)) = block(name) else { return hf_vit(name) };
    let attention = format!("encoder.layer.{i}.attention.attention");
    match rest {
        "attn.qkv.bias" => {
            without_key_bias(format!("{attention}.query.bias"), format!("{attention}.value.bias"))
        }
        "attn.relative_position_bias_table" => {
            TensorSource::key(format!("{attention}.relative_position_bias.relative_position_bias_table"))
        }
        "gamma_1" => TensorSource::key(format!("encoder.layer.{i}.lambda_1")),
        "gamma_2" => TensorSource::key(format!("encoder.layer.{i}.lambda_2")),
        _ => hf_vit(name),
    }
}

fn timm_beit(name: &str) -> TensorSource {
    match name.strip_suffix(".attn.qkv.bias") {
        Some(block) => without_key_bias(format!("{block}.attn.q_bias"), format!("{block}.attn.v_bias")),
        None => TensorSource::key(name),
    }
}
