//! The text tower that belongs to an encoder.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zoo_core::{Filter, Fit};

use super::Weights;

/// What is done to a text before it is cut into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clean {
    /// Nothing but what the tokenizer does itself.
    #[default]
    Nothing,
    /// Lower case.
    Lower,
    /// Lower case, without ASCII punctuation, spaces joined: big_vision's `canonicalize`.
    Canonical,
}

/// The text tower of the image–text model that an encoder is one half of. Its weights stand in the checkpoint of the encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextRow {
    /// Which of the plugin's architectures.
    pub architecture: String,
    /// Architecture numbers, as the plugin defines them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub arch: Map<String, Value>,
    /// Its `tokenizer.json`: `{ repo = …, file = … }` or `{ path = … }`.
    pub tokenizer: Weights,
    /// The token that texts are filled up with, where the tower wants them filled up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad: Option<String>,
    /// The token that ends a text, where the tokenizer adds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// What is done to a text first.
    #[serde(default)]
    pub clean: Clean,
    /// How images become squares when they are compared with texts, as the makers of the model do it.
    #[serde(default)]
    pub fit: Fit,
    /// Filter of the resize then; that of `preprocess` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}
