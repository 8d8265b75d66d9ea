//! From `model_type` to a decoder of a plugin, with its numbers.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use zoo_core::weights::Checkpoint;
use zoo_registry::Registry;

use crate::config::Config;
use crate::{Error, Result};

/// Where a Cambrian-1, LLaVA or plain checkpoint keeps its embedding table.
const EMBEDDINGS: [&str; 2] = ["model.embed_tokens.weight", "language_model.model.embed_tokens.weight"];

/// The language model of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderChoice {
    /// The plugin.
    pub plugin: String,
    /// Which of its architectures.
    pub architecture: String,
    /// Architecture numbers: the keys of `config.json` that the decoder's registry row names.
    pub arch: Map<String, Value>,
    /// Files that hold its weights, alone or among others.
    pub weights: Vec<PathBuf>,
    /// Rows of its embedding table.
    pub vocab: usize,
    /// Hidden width.
    pub hidden: usize,
}

/// The decoder that `config` describes, in `weights`; `stored` are these weights where they are tensors of the
/// published layout.
pub(crate) fn decoder(
    registry: &Registry,
    config: &Config,
    weights: PathBuf,
    stored: Option<&Checkpoint>,
    warnings: &mut Vec<String>,
) -> Result<DecoderChoice> {
    let model_type = config
        .text("model_type")?
        .ok_or_else(|| config.fault("there is no `model_type`: which language model is this?"))?;
    let lookup = |source| Error::Lookup { path: config.path().to_owned(), source };
    let row = registry.decoder_for_model_type(model_type).map_err(lookup)?;
    if config.get("mm_vision_tower_aux_list").is_some() && !model_type.starts_with("cambrian") {
        warnings.push(format!(
            "{}: `model_type` is \"{model_type}\", but the fields are those of Cambrian-1; read as Cambrian-1",
            config.path().display()
        ));
    }
    let mut arch: Map<String, Value> =
        row.keys.iter().filter_map(|key| Some((key.clone(), config.get(key)?.clone()))).collect();
    let required =
        |key: &str| config.number(key)?.ok_or_else(|| config.fault(format!("there is no `{key}`")));
    let (hidden, mut vocab) = (required("hidden_size")?, required("vocab_size")?);
    // Tables that were resized to a tokenizer and saved without a word in the configuration.
    let rows = stored.and_then(|s| EMBEDDINGS.iter().find_map(|key| s.shape(key)?.first().copied()));
    if let Some(rows) = rows.filter(|rows| *rows != vocab) {
        warnings.push(format!(
            "{}: `vocab_size` is {vocab}, but the stored embedding table has {rows} rows; {rows} is right",
            config.path().display()
        ));
        vocab = rows;
        arch.insert("vocab_size".into(), json!(rows));
    }
    Ok(DecoderChoice {
        plugin: row.plugin.clone(),
        architecture: row.architecture.clone(),
        arch,
        weights: vec![weights],
        vocab,
        hidden,
    })
}
