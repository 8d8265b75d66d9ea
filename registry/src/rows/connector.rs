//! `[[connector]]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Kind, Row, Weights};

/// What a connector expects of one encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Channels.
    pub channels: usize,
    /// Tokens, where the connector fixes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
}

/// A connector: features of an ensemble in, tokens of a language model's width out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorRow {
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
    /// What it expects, one per encoder in ensemble order.
    pub inputs: Vec<Input>,
    /// Tokens of each group of queries, for a connector whose queries look at windows: the side of every input
    /// must be a multiple of the side of every group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<usize>,
    /// Tokens that come out, where it does not depend on the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Width of the tokens that come out.
    pub output: usize,
    /// Where its weights come from; absent for an architecture that has yet to be trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
}

impl Row for ConnectorRow {
    const KIND: Kind = Kind::Connector;

    fn id(&self) -> &str {
        &self.id
    }

    fn plugin(&self) -> Option<(&str, &str)> {
        Some((&self.plugin, &self.architecture))
    }
}
