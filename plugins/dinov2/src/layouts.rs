//! Where DINOv2 checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, TensorSource};
use zoo_nn::vit::layouts::{block, timm};

/// Hugging Face (with the prefix `dinov2.` in classifiers), the original release, timm. The original differs from
/// timm in the names of the gated network and in its mask token, by which it is known.
pub(crate) static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "hf",
        prefixes: &["", "dinov2.", "dinov2_with_registers."],
        marker: "embeddings.cls_token",
        map: hf,
        ignored: &["embeddings.mask_token", "classifier.*"],
    },
    Layout {
        name: "original",
        prefixes: &["", "backbone.", "teacher.backbone."],
        marker: "mask_token",
        map: original,
        ignored: &["mask_token"],
    },
    Layout {
        name: "timm",
        prefixes: &[""],
        marker: "cls_token",
        map: timm,
        ignored: &["head.*", "fc_norm.*"],
    },
];

fn hf(name: &str) -> TensorSource {
    if let Some((i, rest)) = block(name) {
        let at = |rest: String| TensorSource::key(format!("encoder.layer.{i}.{rest}"));
        return match rest.rsplit_once('.') {
            Some(("attn.qkv", leaf)) => TensorSource::concat(
                ["query", "key", "value"]
                    .map(|p| format!("encoder.layer.{i}.attention.attention.{p}.{leaf}")),
            ),
            Some(("attn.proj", leaf)) => at(format!("attention.output.dense.{leaf}")),
            Some(("ls1", _)) => at("layer_scale1.lambda1".to_owned()),
            Some(("ls2", _)) => at("layer_scale2.lambda1".to_owned()),
            Some(("mlp.w12", leaf)) => at(format!("mlp.weights_in.{leaf}")),
            Some(("mlp.w3", leaf)) => at(format!("mlp.weights_out.{leaf}")),
            _ => at(rest.to_owned()),
        };
    }
    match name {
        "cls_token" => TensorSource::key("embeddings.cls_token"),
        "reg_token" => TensorSource::key("embeddings.register_tokens"),
        "pos_embed" => TensorSource::key("embeddings.position_embeddings"),
        _ => match name.split_once('.') {
            Some(("patch_embed", leaf)) => TensorSource::key(format!(
                "embeddings.patch_embeddings.{}",
                leaf.replace("proj", "projection")
            )),
            Some(("norm", leaf)) => TensorSource::key(format!("layernorm.{leaf}")),
            _ => TensorSource::key(name),
        },
    }
}

fn original(name: &str) -> TensorSource {
    match name {
        "reg_token" => TensorSource::key("register_tokens"),
        _ => TensorSource::key(name),
    }
}
