//! A model to begin with: the language model, encoders before it, and a connector that nobody trained.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::read::Study;
use crate::{Error, Result};

/// What is taken of the language model's folder beside its weights and config.json.
const COPIED: [&str; 7] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
];

/// Files of a whole model, or the index of its parts.
const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// What config.json says of a connector, but for keys that speak of vision.
const CONNECTOR: [&str; 5] =
    ["image_token_len", "num_query_group", "query_num_list", "connector_depth", "connector_only"];

/// A checkpoint without a tensor, in the place of weights that come from a seed: a folder without any is no model.
const NOTHING: &str = "nothing.safetensors";
/// The same for a connector, under the name by which folders are searched for one.
const CONNECTOR_FILE: &str = "mm_projector.safetensors";
/// Eight bytes of header, which lists nothing.
const EMPTY: &[u8] = b"\x08\0\0\0\0\0\0\0{}      ";

/// Writes the folder `out` for eyes and a connector before the language model in `base`.
pub(crate) fn write(study: &Study, eyes: &str, connector: &str, base: &Path, out: &Path) -> Result<()> {
    let chosen = study.plan.connector.iter().find(|plan| plan.id.get_ref() == connector);
    let chosen = chosen.ok_or_else(|| Error::Internal(format!("there is no connector `{connector}`")))?;
    let members = study.members(eyes);
    let ids: Vec<&String> = members.iter().map(|member| member.id.get_ref()).collect();
    let tokens: Vec<usize> = members.iter().map(|m| chosen.tokens.unwrap_or(m.tokens)).collect();
    let weights = weights(base).filter(|_| !new(study));
    copied(study, base, out, weights.as_deref(), |fields| {
        // Whatever it said of another model's eyes goes.
        fields.retain(|key, _| {
            !key.starts_with("mm_") && !key.contains("vision") && !CONNECTOR.contains(&key.as_str())
        });
        fields.insert("mm_vision_tower_aux_list".into(), json!(ids));
        fields.insert("mm_vision_tower_aux_token_len_list".into(), json!(tokens));
        fields.insert("image_aspect_ratio".into(), json!("pad"));
        fields.extend(chosen.config.clone());
    })?;
    put(&out.join(CONNECTOR_FILE), EMPTY)
}

/// Writes the folder `out` for the language model of which `base` has numbers and tokenizer.
pub(crate) fn numbers(study: &Study, base: &Path, out: &Path) -> Result<()> {
    copied(study, base, out, None, |_| ())
}

/// A folder as `base` is, with other fields in config.json and `weights`, or none, of its language model.
fn copied(
    study: &Study,
    base: &Path,
    out: &Path,
    weights: Option<&Path>,
    change: impl FnOnce(&mut Map<String, Value>),
) -> Result<()> {
    fs::create_dir_all(out).map_err(Error::io(out, "cannot make the folder"))?;
    let config = base.join("config.json");
    let text = fs::read_to_string(&config).map_err(Error::io(&config, "cannot read the language model"))?;
    let mut fields: Map<String, Value> =
        serde_json::from_str(&text).map_err(|e| Error::input(&config, format!("is no JSON object: {e}")))?;
    change(&mut fields);
    put(&out.join("config.json"), &serde_json::to_vec_pretty(&fields).unwrap_or_default())?;
    for name in COPIED {
        let from = base.join(name);
        if from.is_file() {
            put(&out.join(name), &fs::read(&from).map_err(Error::io(&from, "cannot read"))?)?;
        }
    }
    if weights.is_none() {
        put(&out.join(NOTHING), EMPTY)?;
    }
    let mut toml = Map::new();
    let template = study.plan.base.template.clone().or_else(|| template(base));
    toml.extend(template.map(|template| ("template".to_owned(), json!(template))));
    toml.insert("llm".into(), json!({ "weights": weights.unwrap_or(Path::new(NOTHING)) }));
    let text = toml::to_string(&toml).map_err(|e| Error::Internal(e.to_string()))?;
    put(&out.join("zoo.toml"), text.as_bytes())
}

/// Whether runs begin with a language model from nothing.
pub(crate) fn new(study: &Study) -> bool {
    study.plan.base.new && study.plan.base.stage.is_none()
}

/// The template that a folder's own zoo.toml names.
fn template(base: &Path) -> Option<String> {
    let text = fs::read_to_string(base.join("zoo.toml")).ok()?;
    let own: toml::Table = toml::from_str(&text).ok()?;
    Some(own.get("template")?.as_str()?.to_owned())
}

fn weights(base: &Path) -> Option<PathBuf> {
    WEIGHTS.iter().map(|name| base.join(name)).find(|path| path.is_file())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    zoo_train::replace(path, bytes).map_err(Error::train("start"))
}
