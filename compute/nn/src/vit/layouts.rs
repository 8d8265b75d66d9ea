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
    match name {
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
