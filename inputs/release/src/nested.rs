//! Configurations of transformers' own LLaVA (`LlavaForConditionalGeneration`), which nest the language model's under
//! `text_config`, brought into the flat form of the original.

use serde_json::{Map, Value, json};

/// What `LlamaConfig` of transformers assumes: these files leave out what does not differ from it.
const LLAMA: [(&str, u64); 6] = [
    ("hidden_size", 4096),
    ("intermediate_size", 11008),
    ("num_hidden_layers", 32),
    ("num_attention_heads", 32),
    ("vocab_size", 32000),
    ("max_position_embeddings", 2048),
];

/// The flat form of `fields`, if they are nested.
pub(crate) fn flat(fields: &mut Map<String, Value>) {
    let nested = fields.get("model_type").and_then(Value::as_str) == Some("llava");
    let Some(Value::Object(text)) = fields.get("text_config").filter(|_| nested) else { return };
    let mut out = text.clone();
    out.retain(|_, value| !value.is_null());
    for (key, value) in LLAMA {
        out.entry(key).or_insert(json!(value));
    }
    out.entry("rms_norm_eps").or_insert(json!(1e-6));
    out.insert("model_type".into(), json!("llava"));
    out.insert("mm_projector_type".into(), json!("mlp2x_gelu"));
    out.insert("image_aspect_ratio".into(), json!("pad"));
    let layer = fields.get("vision_feature_layer").filter(|v| v.is_i64());
    out.insert("mm_vision_select_layer".into(), layer.cloned().unwrap_or(json!(-2)));
    if let Some(tower) = tower(fields) {
        out.insert("mm_vision_tower".into(), tower.into());
    }
    if let Some(eos) = fields.get("eos_token_id") {
        out.entry("eos_token_id").or_insert(eos.clone());
    }
    *fields = out;
}

/// The tower that `vision_config` describes by its numbers; the only one with which these models were released.
fn tower(fields: &Map<String, Value>) -> Option<&'static str> {
    let vision = fields.get("vision_config")?.as_object()?;
    let number = |key: &str| vision.get(key).and_then(Value::as_u64);
    let numbers = ["hidden_size", "patch_size", "image_size", "num_hidden_layers"].map(number);
    (numbers == [Some(1024), Some(14), Some(336), Some(24)]).then_some("openai/clip-vit-large-patch14-336")
}
