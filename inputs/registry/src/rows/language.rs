//! `[[llm]]` and `[[model]]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Kind, Row, Weights};

/// A language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmRow {
    /// Unique name: lower-case letters, digits, `-`, `_`, `.`.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// The plugin that implements it, `[a-z0-9_-]+`.
    pub plugin: String,
    /// Which of the plugin's architectures.
    pub architecture: String,
    /// Architecture numbers, as the plugin defines them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub arch: Map<String, Value>,
    /// Hidden width.
    pub hidden: usize,
    /// Licence of the weights, as an SPDX identifier where there is one.
    pub licence: String,
    /// Where its weights come from.
    pub weights: Weights,
}

impl Row for LlmRow {
    const KIND: Kind = Kind::Llm;

    fn id(&self) -> &str {
        &self.id
    }

    fn plugin(&self) -> Option<(&str, &str)> {
        Some((&self.plugin, &self.architecture))
    }
}

/// A multimodal model: an ensemble, a connector and a language model that were trained together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelRow {
    /// Unique name: lower-case letters, digits, `-`, `_`, `.`.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// Id of the ensemble; its own connector is not used.
    pub ensemble: String,
    /// Id of the connector.
    pub connector: String,
    /// Id of the language model.
    pub llm: String,
    /// Name of the conversation template.
    pub template: String,
    /// Licence of the weights, as an SPDX identifier where there is one.
    pub licence: String,
    /// Weights of the language model as trained in this model; the language model's own if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
}

impl Row for ModelRow {
    const KIND: Kind = Kind::Model;

    fn id(&self) -> &str {
        &self.id
    }
}
