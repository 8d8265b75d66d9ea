//! `[[ensemble]]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Row};

/// One encoder of an ensemble; what is absent is as in the encoder's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a member, for example `{ encoder = \"NAME\", tokens = 576 }`")]
pub struct Member {
    /// Id, alias or tower name of an encoder.
    pub encoder: String,
    /// Side of its image in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<usize>,
    /// Tokens after resampling; a square.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Layers, concatenated on channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<i32>>,
    /// Whether the encoder's final norm is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<bool>,
}

/// Encoders that look at the same image, in order, and the connector that fuses what they see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsembleRow {
    /// Unique name: lower-case letters, digits, `-`, `_`, `.`.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// The encoders, in order.
    pub members: Vec<Member>,
    /// Id of the connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
}

impl Row for EnsembleRow {
    const KIND: Kind = Kind::Ensemble;

    fn id(&self) -> &str {
        &self.id
    }
}
