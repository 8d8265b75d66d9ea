//! Where CLIP checkpoints keep the trunk's tensors.

use zoo_core::weights::{Layout, TensorSource};
use zoo_nn::vit::layouts::{block, hf_vision_model};

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

fn open_clip(name: &str) -> TensorSource {
    if let Some((i, rest)) = block(name) {
        let rest = match rest {
            "attn.qkv.weight" => "attn.in_proj_weight".to_owned(),
            "attn.qkv.bias" => "attn.in_proj_bias".to_owned(),
            "ls1.gamma" | "ls2.gamma" => rest.replace("ls", "ls_"),
            _ => rest
                .replace("norm", "ln_")
                .replace("attn.proj", "attn.out_proj")
                .replace("mlp.fc1", "mlp.c_fc")
                .replace("mlp.fc2", "mlp.c_proj"),
        };
        return TensorSource::key(format!("transformer.resblocks.{i}.{rest}"));
    }
    match name {
        "cls_token" => TensorSource::squeezed("class_embedding"),
        "pos_embed" => TensorSource::squeezed("positional_embedding"),
        _ => match name.split_once('.') {
            Some(("patch_embed", leaf)) => TensorSource::key(leaf.replace("proj", "conv1")),
            Some(("norm_pre", leaf)) => TensorSource::key(format!("ln_pre.{leaf}")),
            Some(("norm", leaf)) => TensorSource::key(format!("ln_post.{leaf}")),
            _ => TensorSource::key(name),
        },
    }
}
