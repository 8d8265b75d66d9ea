//! GGUF files of decoders: where they keep the tensors, in which order the rows, and what their metadata say.
//!
//! The names are those of llama.cpp. Its converter stores the q and k rows of Llama's relatives with the halves of a
//! head interleaved, and the norms of Gemma with the 1 added. Gemma's files have no head beside the embedding table.

mod export;

pub use export::{Export, ExportOptions};

use serde_json::{Map, Value, json};
use zoo_core::weights::{Checkpoint, Layout, Params, TensorSource};
use zoo_core::{Error, Result};

use super::config::DecoderConfig;
use crate::quantised::RowOrder;

/// Name of the layout.
pub(super) const NAME: &str = "gguf";

/// Keys beside the weights: rotary frequencies, which follow from the configuration.
const BESIDE: [&str; 3] = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"];
/// [`BESIDE`], and a copy of the embedding table.
const BESIDE_TIED: [&str; 4] = [BESIDE[0], BESIDE[1], BESIDE[2], "output.weight"];

/// The layout `gguf`, for a decoder with or without norms behind attention and feed-forward network.
pub(super) fn layout(post_norms: bool, tied: bool) -> Layout {
    Layout {
        name: NAME,
        prefixes: &[""],
        marker: "token_embd.weight",
        map: if post_norms {
            |name| TensorSource::key(key(name, true).unwrap_or_else(|| name.to_owned()))
        } else {
            |name| TensorSource::key(key(name, false).unwrap_or_else(|| name.to_owned()))
        },
        ignored: if tied { &BESIDE_TIED } else { &BESIDE },
    }
}

/// The key of the tensor that Hugging Face calls `name`.
fn key(name: &str, post_norms: bool) -> Option<String> {
    let (stem, kind) = name.rsplit_once('.')?;
    let Some((layer, part)) = stem.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) else {
        let stem = match stem {
            "model.embed_tokens" => "token_embd",
            "model.norm" => "output_norm",
            "lm_head" => "output",
            _ => return None,
        };
        return Some(format!("{stem}.{kind}"));
    };
    let part = match part {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.qkv_proj" => "attn_qkv",
        "self_attn.o_proj" => "attn_output",
        "post_attention_layernorm" if post_norms => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" | "mlp.gate_up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        _ => return None,
    };
    Some(format!("blk.{layer}.{part}.{kind}"))
}

/// The order of the q and k rows in the file that is being read.
pub(super) fn row_order(params: &Params, config: &DecoderConfig) -> RowOrder {
    let kind = params.metadata("general.architecture");
    if params.layout() == NAME && kind.as_deref().is_some_and(interleaved) {
        RowOrder::Interleaved { channels: config.head_dim }
    } else {
        RowOrder::Same
    }
}

/// Whether files of this `general.architecture` hold q and k with interleaved halves.
fn interleaved(architecture: &str) -> bool {
    architecture == "llama"
}

/// The numbers of the decoder in a GGUF file, with the keys of Hugging Face's `config.json`.
///
/// # Errors
/// [`Error::File`] for a file without metadata, without a number that is needed, or with rotary positions whose
/// stretching it does not state in words.
pub fn arch(file: &Checkpoint) -> Result<Map<String, Value>> {
    let metadata = file.metadata().ok_or_else(|| file.fault("this is no GGUF file".to_owned()))?;
    let family = metadata
        .architecture()
        .ok_or_else(|| file.fault("the metadata do not say `general.architecture`".to_owned()))?;
    let name = |key: &str| format!("{family}.{key}");
    let missing = |key: &str| -> Error { file.fault(format!("the metadata lack `{}`", name(key))) };
    let count = |key: &str| metadata.count(&name(key)).ok_or_else(|| missing(key));
    let number = |key: &str| metadata.number(&name(key));
    let width = count("embedding_length")?;
    let heads = count("attention.head_count")?;
    let vocabulary = file.shape("token_embd.weight").and_then(|shape| shape.first().copied());
    let mut arch = Map::new();
    let mut put = |key: &str, value: Value| arch.insert(key.to_owned(), value);
    put("hidden_size", json!(width));
    put("intermediate_size", json!(count("feed_forward_length")?));
    put("num_hidden_layers", json!(count("block_count")?));
    put("num_attention_heads", json!(heads));
    put("num_key_value_heads", json!(count("attention.head_count_kv").unwrap_or(heads)));
    if let Ok(channels) = count("attention.key_length") {
        put("head_dim", json!(channels));
    }
    put(
        "vocab_size",
        json!(vocabulary.ok_or_else(|| file.fault("there is no `token_embd.weight`".to_owned()))?),
    );
    put("max_position_embeddings", json!(count("context_length")?));
    put(
        "rms_norm_eps",
        json!(
            number("attention.layer_norm_rms_epsilon")
                .ok_or_else(|| missing("attention.layer_norm_rms_epsilon"))?
        ),
    );
    if let Some(theta) = number("rope.freq_base") {
        put("rope_theta", json!(theta));
    }
    match metadata.text(&name("rope.scaling.type")) {
        None | Some("none") => {}
        Some("linear") => {
            let factor = number("rope.scaling.factor").ok_or_else(|| missing("rope.scaling.factor"))?;
            put("rope_scaling", json!({"rope_type": "linear", "factor": factor}));
        }
        Some(other) => {
            return Err(file.fault(format!(
                "rotary positions are stretched by `{other}`, of which the file does not say enough; put the \
                 model's config.json beside it"
            )));
        }
    }
    if BESIDE.iter().any(|key| file.contains(key)) {
        return Err(file.fault(
            "rotary positions are stretched by a table; put the model's config.json, which says how, beside the file"
                .to_owned(),
        ));
    }
    if let Ok(window) = count("attention.sliding_window") {
        put("sliding_window", json!(window));
    }
    for (key, cap) in [
        ("attn_logit_softcapping", "attn_logit_softcapping"),
        ("final_logit_softcapping", "final_logit_softcapping"),
    ] {
        if let Some(value) = number(key) {
            put(cap, json!(value));
        }
    }
    put("tie_word_embeddings", json!(!file.contains("output.weight")));
    Ok(arch)
}
