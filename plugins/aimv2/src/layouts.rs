//! Where AIMv2 checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, TensorSource};
use zoo_nn::vit::layouts::block;

/// Apple's own, timm, and what transformers writes.
pub(crate) static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "original",
        prefixes: &["", "image_encoder.model."],
        marker: "preprocessor.patchifier.proj.weight",
        map: original,
        ignored: &["head.*"],
    },
    Layout {
        name: "timm",
        prefixes: &["", "visual.trunk."],
        marker: "patch_embed.proj.weight",
        map: timm,
        ignored: &["head.*", "fc_norm.*", "attn_pool.*"],
    },
    Layout {
        name: "hf",
        prefixes: &["", "vision_model."],
        marker: "embeddings.patch_embed.weight",
        map: hf,
        ignored: &["head.*", "embeddings.position_ids"],
    },
];

fn halves(before: &str, parts: [&str; 2], leaf: &str) -> TensorSource {
    TensorSource::concat(parts.map(|part| format!("{before}.{part}.{leaf}")))
}

fn original(name: &str) -> TensorSource {
    if let Some((i, rest)) = block(name) {
        if let Some(leaf) = rest.strip_prefix("mlp.w12.") {
            return halves(&format!("trunk.blocks.{i}.mlp"), ["fc1", "fc3"], leaf);
        }
        let rest = rest.replace("norm1", "norm_1").replace("norm2", "norm_2").replace("mlp.w3", "mlp.fc2");
        return TensorSource::key(format!("trunk.blocks.{i}.{rest}"));
    }
    match name.split_once('.') {
        Some(("patch_embed", leaf)) => TensorSource::key(format!("preprocessor.patchifier.{leaf}")),
        Some(("norm", leaf)) => TensorSource::key(format!("trunk.post_trunk_norm.{leaf}")),
        _ => TensorSource::key(format!("preprocessor.{name}")),
    }
}

fn timm(name: &str) -> TensorSource {
    match name.split_once(".w12.") {
        Some((before, leaf)) => halves(before, ["fc1_g", "fc1_x"], leaf),
        None => TensorSource::key(name.replace(".w3.", ".fc2.")),
    }
}

fn hf(name: &str) -> TensorSource {
    if let Some((i, rest)) = block(name) {
        let at = |rest: String| TensorSource::key(format!("encoder.layers.{i}.{rest}"));
        return match rest.rsplit_once('.') {
            Some(("attn.qkv", leaf)) => TensorSource::concat(
                ["q", "k", "v"].map(|part| format!("encoder.layers.{i}.attention.{part}_proj.{leaf}")),
            ),
            Some(("attn.proj", leaf)) => at(format!("attention.out_proj.{leaf}")),
            Some(("mlp.w12", leaf)) => {
                halves(&format!("encoder.layers.{i}.ffn"), ["gate_proj", "up_proj"], leaf)
            }
            Some(("mlp.w3", leaf)) => at(format!("ffn.down_proj.{leaf}")),
            Some((norm, leaf)) => at(format!("rms_{norm}.{leaf}")),
            None => at(rest.to_owned()),
        };
    }
    match name {
        "pos_embed" => TensorSource::squeezed("embeddings.position_embedding.weight"),
        "patch_embed.norm.weight" => TensorSource::key("embeddings.rms_norm.weight"),
        "norm.weight" => TensorSource::key("rms_norm.weight"),
        _ => TensorSource::key(name.replace("patch_embed.proj", "embeddings.patch_embed")),
    }
}
