//! Where DINOv3 checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, Piece, TensorSource};
use zoo_nn::vit::layouts::block;

/// Hugging Face, timm, and timm's variants whose q and v have biases. No layout has a bias of k, and timm's first drops
/// those of q and v, which are zero in what was published.
pub(crate) static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "hf",
        prefixes: &["", "model."],
        marker: "embeddings.register_tokens",
        map: hf,
        ignored: &["embeddings.mask_token"],
    },
    Layout {
        name: "timm-qkvb",
        prefixes: &["", "visual.trunk."],
        marker: "blocks.0.attn.q_bias",
        map: |name| match name.strip_suffix(".attn.qkv.bias") {
            Some(before) => biases([
                Piece::Key(format!("{before}.attn.q_bias")),
                Piece::Zeros,
                Piece::Key(format!("{before}.attn.v_bias")),
            ]),
            None => timm(name),
        },
        ignored: &["head.*", "fc_norm.*"],
    },
    Layout {
        name: "timm",
        prefixes: &["", "visual.trunk."],
        marker: "reg_token",
        map: |name| match name.ends_with(".attn.qkv.bias") {
            true => biases([Piece::Zeros, Piece::Zeros, Piece::Zeros]),
            false => timm(name),
        },
        ignored: &["head.*", "fc_norm.*"],
    },
];

fn biases(pieces: [Piece; 3]) -> TensorSource {
    TensorSource::Concat(pieces.into())
}

fn halves(before: &str, [gate, up]: [&str; 2], leaf: &str) -> TensorSource {
    TensorSource::concat([gate, up].map(|part| format!("{before}.{part}.{leaf}")))
}

fn hf(name: &str) -> TensorSource {
    if let Some((i, rest)) = block(name) {
        let at = |rest: String| TensorSource::key(format!("layer.{i}.{rest}"));
        let part = |part: &str, leaf: &str| Piece::Key(format!("layer.{i}.attention.{part}_proj.{leaf}"));
        return match rest.rsplit_once('.') {
            Some(("attn.qkv", "bias")) => biases([part("q", "bias"), Piece::Zeros, part("v", "bias")]),
            Some(("attn.qkv", leaf)) => biases(["q", "k", "v"].map(|name| part(name, leaf))),
            Some(("attn.proj", leaf)) => at(format!("attention.o_proj.{leaf}")),
            Some(("ls1", _)) => at("layer_scale1.lambda1".to_owned()),
            Some(("ls2", _)) => at("layer_scale2.lambda1".to_owned()),
            Some(("mlp.fc1", leaf)) => at(format!("mlp.up_proj.{leaf}")),
            Some(("mlp.fc2" | "mlp.w3", leaf)) => at(format!("mlp.down_proj.{leaf}")),
            Some(("mlp.w12", leaf)) => halves(&format!("layer.{i}.mlp"), ["gate_proj", "up_proj"], leaf),
            _ => at(rest.to_owned()),
        };
    }
    match name {
        "cls_token" => TensorSource::key("embeddings.cls_token"),
        "reg_token" => TensorSource::key("embeddings.register_tokens"),
        _ => match name.strip_prefix("patch_embed.proj.") {
            Some(leaf) => TensorSource::key(format!("embeddings.patch_embeddings.{leaf}")),
            None => TensorSource::key(name),
        },
    }
}

fn timm(name: &str) -> TensorSource {
    if let Some((before, leaf)) = name.split_once(".w12.") {
        return halves(before, ["fc1_g", "fc1_x"], leaf);
    }
    let name = name.replace(".ls1.gamma", ".gamma_1").replace(".ls2.gamma", ".gamma_2");
    TensorSource::key(name.replace(".w3.", ".fc2."))
}
