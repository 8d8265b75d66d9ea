//! Where checkpoints keep the tensors of the networks. Canonical names are `network.` and diffusers' name, but for
//! attention, where q, k and v of one input are one map, and for gated networks.

use zoo_core::weights::{Layout, TensorSource};

/// What a folder holds that no feature needs.
const IGNORED: &[&str] = &[
    "unet/conv_norm_out.*",
    "unet/conv_out.*",
    "vae/decoder.*",
    "vae/post_quant_conv.*",
    "safety_checker/*",
    "image_encoder/*",
    "text_encoder/*position_ids",
];

/// Folders as diffusers saves them; older ones call the attention of the VAE otherwise; and without a text encoder,
/// beside the context that it would make.
pub(crate) static LAYOUTS: [Layout; 3] = [
    Layout {
        name: "diffusers",
        prefixes: &[""],
        marker: "vae/encoder.mid_block.attentions.0.to_q.weight",
        map: diffusers,
        ignored: IGNORED,
    },
    Layout {
        name: "diffusers-old",
        prefixes: &[""],
        marker: "vae/encoder.mid_block.attentions.0.query.weight",
        map: old,
        ignored: IGNORED,
    },
    Layout { name: "embeds", prefixes: &[""], marker: "unet.conv_in.weight", map: embeds, ignored: &[] },
];

/// Which parts of attention a canonical name stands for: `[q, k, v]` at this place, or the map behind them.
fn attention(name: &str, qkv: [&str; 3], out: &str) -> Option<TensorSource> {
    if let Some((front, leaf)) = name.split_once(".qkv.") {
        return Some(TensorSource::concat(qkv.map(|part| format!("{front}.{part}.{leaf}"))));
    }
    for (part, stored) in ["q", "k", "v"].into_iter().zip(qkv) {
        if let Some((front, leaf)) = name.split_once(&format!(".attn2.{part}.")) {
            return Some(TensorSource::key(format!("{front}.attn2.{stored}.{leaf}")));
        }
    }
    let (front, leaf) = name.split_once(".proj.")?;
    // The gated network has a part of that name too.
    (!front.ends_with("net.0")).then(|| TensorSource::key(format!("{front}.{out}.{leaf}")))
}

fn diffusers(name: &str) -> TensorSource {
    stored(name, ["to_q", "to_k", "to_v"], "to_out.0")
}

fn old(name: &str) -> TensorSource {
    match name.starts_with("vae.") {
        true => stored(name, ["query", "key", "value"], "proj_attn"),
        false => diffusers(name),
    }
}

fn stored(name: &str, qkv: [&str; 3], out: &str) -> TensorSource {
    if let Some(rest) = name.strip_prefix("text.") {
        return text(rest);
    }
    let name = name.replacen('.', "/", 1).replace("mlp.w12", "ff.net.0.proj").replace("mlp.w3", "ff.net.2");
    attention(&name, qkv, out).unwrap_or_else(|| TensorSource::key(name))
}

/// The text encoder of transformers.
fn text(name: &str) -> TensorSource {
    let at = |rest: String| TensorSource::key(format!("text_encoder/text_model.{rest}"));
    let Some((i, rest)) = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) else {
        return match name {
            "token_embed" => at("embeddings.token_embedding.weight".into()),
            "pos_embed" => at("embeddings.position_embedding.weight".into()),
            _ => at(name.replace("norm.", "final_layer_norm.")),
        };
    };
    let layer = format!("encoder.layers.{i}");
    match rest.rsplit_once('.') {
        Some(("attn.qkv", leaf)) => TensorSource::concat(
            ["q", "k", "v"].map(|p| format!("text_encoder/text_model.{layer}.self_attn.{p}_proj.{leaf}")),
        ),
        Some(("attn.proj", leaf)) => at(format!("{layer}.self_attn.out_proj.{leaf}")),
        Some(("norm1", leaf)) => at(format!("{layer}.layer_norm1.{leaf}")),
        Some(("norm2", leaf)) => at(format!("{layer}.layer_norm2.{leaf}")),
        _ => at(format!("{layer}.{rest}")),
    }
}

/// One file: `unet.…` and `vae.…` in diffusers' names, and `empty_prompt_embeds` `[1, 77, C]`.
fn embeds(name: &str) -> TensorSource {
    let flat = |key: String| key.replacen('/', ".", 1);
    match diffusers(name) {
        TensorSource::Key(key) => TensorSource::Key(flat(key)),
        TensorSource::Concat(pieces) => TensorSource::Concat(
            pieces
                .into_iter()
                .map(|piece| match piece {
                    zoo_core::weights::Piece::Key(key) => zoo_core::weights::Piece::Key(flat(key)),
                    other @ zoo_core::weights::Piece::Zeros => other,
                })
                .collect(),
        ),
        other => other,
    }
}
