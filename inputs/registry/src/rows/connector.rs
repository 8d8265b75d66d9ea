//! `[[connector]]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Kind, Row, Weights};

/// What a connector expects of one encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Channels.
    pub channels: usize,
    /// Tokens, where the connector fixes them.
    pub tokens: Option<usize>,
}

/// A connector: features of an ensemble in, tokens of a language model's width out.
///
/// What goes in and what comes out stands in `arch`, under names that all connectors share, because a connector's
/// shapes are its architecture: see [`ConnectorRow::inputs`] and the methods after it.
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
    /// Architecture numbers, as the plugin defines them; `inputs` (channels per encoder) and `output` (width) are
    /// always there.
    pub arch: Map<String, Value>,
    /// Where its weights come from; absent for an architecture that has yet to be trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
}

impl ConnectorRow {
    /// What it expects, one per encoder in ensemble order: channels from `arch.inputs`, tokens from
    /// `arch.token_lens` (one per encoder) or `arch.token_len` (the same for all).
    pub fn inputs(&self) -> Vec<Input> {
        let lens = self.numbers("token_lens");
        let common = self.number("token_len");
        let input = |(i, channels)| Input { channels, tokens: lens.get(i).copied().or(common) };
        self.numbers("inputs").into_iter().enumerate().map(input).collect()
    }

    /// Width of the tokens that come out: `arch.output`.
    pub fn output(&self) -> usize {
        self.number("output").unwrap_or(0)
    }

    /// Tokens that come out, where they do not depend on the input: `arch.image_token_len`.
    pub fn tokens(&self) -> Option<usize> {
        self.number("image_token_len")
    }

    /// Tokens of each group of queries: `arch.query_num_list`. Each query looks at a window of every input, so the
    /// side of every input is a multiple of the side of every group. Empty for other connectors.
    pub fn queries(&self) -> Vec<usize> {
        self.numbers("query_num_list")
    }

    fn number(&self, key: &str) -> Option<usize> {
        self.arch.get(key).and_then(whole)
    }

    fn numbers(&self, key: &str) -> Vec<usize> {
        self.arch.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(whole).collect()
    }
}

/// A whole number that is not negative.
pub(crate) fn whole(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok())
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
