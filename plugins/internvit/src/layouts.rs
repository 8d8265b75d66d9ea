//! Where InternViT checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, TensorSource};
use zoo_nn::vit::layouts::block;

/// The makers' own, alone or in one of their language models; what transformers writes; timm.
pub(crate) static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "original",
        prefixes: &["", "vision_model."],
        marker: "embeddings.class_embedding",
        map: original,
        ignored: &[],
    },
    Layout {
        name: "hf",
        prefixes: &["", "vision_tower.", "model.vision_tower."],
        marker: "embeddings.cls_token",
        map: hf,
        ignored: &["embeddings.mask_token", "layernorm.*"],
    },
    Layout {
        name: "timm",
        prefixes: &[""],
        marker: "cls_token",
        map: |name| TensorSource::key(name),
        ignored: &["head.*", "fc_norm.*"],
    },
];

fn original(name: &str) -> TensorSource {
    if let Some((i, rest)) = block(name) {
        // Layer scale is a parameter of the block itself.
        let rest = rest.strip_suffix(".gamma").unwrap_or(rest);
        return TensorSource::key(format!("encoder.layers.{i}.{rest}"));
    }
    match name {
        "cls_token" => TensorSource::key("embeddings.class_embedding"),
        "pos_embed" => TensorSource::key("embeddings.position_embedding"),
        _ => TensorSource::key(name.replace("patch_embed.proj", "embeddings.patch_embedding")),
    }
}

fn hf(name: &str) -> TensorSource {
    if let Some((i, rest)) = block(name) {
        let at = |rest: String| TensorSource::key(format!("encoder.layer.{i}.{rest}"));
        return match rest.rsplit_once('.') {
            Some(("attn.qkv", leaf)) => TensorSource::concat(
                ["q", "k", "v"].map(|part| format!("encoder.layer.{i}.attention.{part}_proj.{leaf}")),
            ),
            Some(("attn.proj", leaf)) => at(format!("attention.projection_layer.{leaf}")),
            Some(("attn.q_norm", leaf)) => at(format!("attention.q_norm.{leaf}")),
            Some(("attn.k_norm", leaf)) => at(format!("attention.k_norm.{leaf}")),
            Some(("norm1", leaf)) => at(format!("layernorm_before.{leaf}")),
            Some(("norm2", leaf)) => at(format!("layernorm_after.{leaf}")),
            Some(("ls1", _)) => at("lambda_1".to_owned()),
            Some(("ls2", _)) => at("lambda_2".to_owned()),
            _ => at(rest.to_owned()),
        };
    }
    match name {
        "cls_token" => TensorSource::key("embeddings.cls_token"),
        "pos_embed" => TensorSource::key("embeddings.position_embeddings"),
        _ => TensorSource::key(name.replace("patch_embed.proj", "embeddings.patch_embeddings.projection")),
    }
}
