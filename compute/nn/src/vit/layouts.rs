//! Published names that more than one ViT family uses.

use zoo_core::weights::TensorSource;

/// Splits `blocks.{i}.{rest}`.
pub fn block(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("blocks.")?.split_once('.')
}

/// Where the vision models of Hugging Face's CLIP and SigLIP keep a tensor; they differ only in which they have.
pub fn hf_vision_model(name: &str) -> TensorSource {
    if let Some((i, rest)) = block(name) {
        let at = |rest: &str| TensorSource::key(format!("encoder.layers.{i}.{rest}"));
        if let Some(leaf) = rest.strip_prefix("attn.qkv.") {
            return TensorSource::concat(
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
    if let Some(rest) = name.strip_prefix("attn_pool.") {
        let joined = |leaf: &str, parts| TensorSource::Part {
            key: format!("head.attention.in_proj_{leaf}"),
            parts,
            of: 3,
        };
        return match rest.split_once('.') {
            None => TensorSource::key("head.probe"),
            Some(("q", leaf)) => joined(leaf, 0..1),
            Some(("kv", leaf)) => joined(leaf, 1..3),
            Some(("proj", leaf)) => TensorSource::key(format!("head.attention.out_proj.{leaf}")),
            Some(("norm", leaf)) => TensorSource::key(format!("head.layernorm.{leaf}")),
            Some(_) => TensorSource::key(format!("head.{rest}")),
        };
    }
    match name {
        "head.weight" => TensorSource::Beside("visual_projection.weight".to_owned()),
        "cls_token" => TensorSource::squeezed("embeddings.class_embedding"),
        "pos_embed" => TensorSource::squeezed("embeddings.position_embedding.weight"),
        "patch_embed.proj.weight" => TensorSource::key("embeddings.patch_embedding.weight"),
        "patch_embed.proj.bias" => TensorSource::key("embeddings.patch_embedding.bias"),
        _ => match name.split_once('.') {
            // The spelling is the published one.
            Some(("norm_pre", leaf)) => TensorSource::key(format!("pre_layrnorm.{leaf}")),
            Some(("norm", leaf)) => TensorSource::key(format!("post_layernorm.{leaf}")),
            _ => TensorSource::key(name),
        },
    }
}

/// Where Hugging Face's plain ViTs (ViT, I-JEPA, DPT) keep a tensor.
pub fn hf_vit(name: &str) -> TensorSource {
    if let Some((i, rest)) = block(name) {
        let at = |rest: String| TensorSource::key(format!("encoder.layer.{i}.{rest}"));
        return match rest.rsplit_once('.') {
            Some(("attn.qkv", leaf)) => TensorSource::concat(
                ["query", "key", "value"]
                    .map(|part| format!("encoder.layer.{i}.attention.attention.{part}.{leaf}")),
            ),
            Some(("attn.proj", leaf)) => at(format!("attention.output.dense.{leaf}")),
            Some(("norm1", leaf)) => at(format!("layernorm_before.{leaf}")),
            Some(("norm2", leaf)) => at(format!("layernorm_after.{leaf}")),
            Some(("mlp.fc1", leaf)) => at(format!("intermediate.dense.{leaf}")),
            Some(("mlp.fc2", leaf)) => at(format!("output.dense.{leaf}")),
            _ => at(rest.to_owned()),
        };
    }
    match name {
        "cls_token" => TensorSource::key("embeddings.cls_token"),
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

/// Where timm keeps a tensor of its `VisionTransformer`: gated networks have the names of plain ones.
pub fn timm(name: &str) -> TensorSource {
    TensorSource::key(name.replace("mlp.w12", "mlp.fc1").replace("mlp.w3", "mlp.fc2"))
}

/// Where open_clip keeps a tensor of its own `VisionTransformer`.
pub fn open_clip(name: &str) -> TensorSource {
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
        "head.weight" => TensorSource::Transposed("proj".to_owned()),
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
