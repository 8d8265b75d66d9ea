//! Where plain ViT checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, Source};

/// open_clip around timm and timm alone share their names below the prefix; Hugging Face's SigLIP splits q, k, v.
/// Attention pooling and classifiers are not part of the features.
pub(crate) static LAYOUTS: [Layout; 2] = [
    Layout {
        name: "timm",
        prefixes: &["visual.trunk.", "", "module.base_encoder.", "module."],
        marker: "patch_embed.proj.weight",
        map: |name| Source::key(name),
        ignored: &["attn_pool.*", "head.*", "fc_norm.*", "pre_logits.*"],
    },
    Layout {
        name: "hf",
        prefixes: &["vision_model.", ""],
        marker: "embeddings.patch_embedding.weight",
        map: hf,
        ignored: &["head.*", "embeddings.position_ids"],
    },
];

fn hf(name: &str) -> Source {
    if let Some((i, rest)) = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) {
        let at = |rest: &str| Source::key(format!("encoder.layers.{i}.{rest}"));
        if let Some(leaf) = rest.strip_prefix("attn.qkv.") {
            return Source::concat(
                ["q", "k", "v"].map(|p| format!("encoder.layers.{i}.self_attn.{p}_proj.{leaf}")),
            );
        }
        return match rest.split_once('.') {
            Some(("norm1", leaf)) => at(&format!("layer_norm1.{leaf}")),
            Some(("norm2", leaf)) => at(&format!("layer_norm2.{leaf}")),
            Some(("attn", leaf)) => at(&format!("self_attn.out_{leaf}")),
            _ => at(rest),
        };
    }
    match name {
        "pos_embed" => Source::squeezed("embeddings.position_embedding.weight"),
        _ => match name.split_once('.') {
            Some(("patch_embed", leaf)) => {
                Source::key(format!("embeddings.{}", leaf.replace("proj", "patch_embedding")))
            }
            Some(("norm", leaf)) => Source::key(format!("post_layernorm.{leaf}")),
            _ => Source::key(name),
        },
    }
}
