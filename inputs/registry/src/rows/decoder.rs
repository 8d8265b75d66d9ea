//! `[[decoder]]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Row};

/// A kind of language model: which plugin reads the checkpoints whose `config.json` calls itself so.
///
/// An `[[llm]]` row is one language model with its numbers and weights; this row is what many of them have in
/// common, so that a folder with a `config.json` needs no row of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecoderRow {
    /// Unique name: lower-case letters, digits, `-`, `_`, `.`.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// The plugin that implements it, `[a-z0-9_-]+`.
    pub plugin: String,
    /// Which of the plugin's architectures.
    pub architecture: String,
    /// Values of `model_type` in a `config.json`, those of multimodal models around it included.
    pub model_types: Vec<String>,
    /// Values of `general.architecture` in a GGUF file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gguf: Vec<String>,
    /// Keys of `config.json` that are the plugin's architecture numbers; the others mean nothing to it.
    pub keys: Vec<String>,
}

impl Row for DecoderRow {
    const KIND: Kind = Kind::Decoder;

    fn id(&self) -> &str {
        &self.id
    }

    fn plugin(&self) -> Option<(&str, &str)> {
        Some((&self.plugin, &self.architecture))
    }

    fn types(&self) -> impl Iterator<Item = &str> {
        self.model_types.iter().chain(&self.gguf).map(String::as_str)
    }
}
