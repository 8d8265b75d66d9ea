//! The JSON schema of the file, for editors.

use schemars::{JsonSchema, schema_for};
use serde_json::Value;

use crate::rows::{ConnectorRow, DecoderRow, EncoderRow, EnsembleRow, LlmRow, ModelRow, ProjectorRow};

/// A registry of Zoo: encoders, connectors, ensembles, language models and models.
#[derive(JsonSchema)]
#[schemars(rename = "Registry", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used; files are read row by row, to report every bad one")]
struct File {
    /// Version of the format.
    #[schemars(extend("const" = 1))]
    version: u32,
    /// Encoders with their weights.
    #[serde(default)]
    encoder: Vec<EncoderRow>,
    /// What fuses the features of an ensemble.
    #[serde(default)]
    connector: Vec<ConnectorRow>,
    /// Encoders that look at the same image.
    #[serde(default)]
    ensemble: Vec<EnsembleRow>,
    /// Language models.
    #[serde(default)]
    llm: Vec<LlmRow>,
    /// Multimodal models.
    #[serde(default)]
    model: Vec<ModelRow>,
    /// Kinds of language models, by what their configurations call themselves.
    #[serde(default)]
    decoder: Vec<DecoderRow>,
    /// Kinds of connectors, by what the configurations of models call them.
    #[serde(default)]
    projector: Vec<ProjectorRow>,
}

/// The JSON schema of a registry file, as committed in `registry.schema.json`.
pub fn schema() -> Value {
    schema_for!(File).into()
}
