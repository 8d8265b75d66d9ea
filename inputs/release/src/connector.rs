//! From `mm_projector_type` to a connector of a plugin, with its numbers.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use zoo_registry::{ConnectorRow, Registry, TokenCounts};

use crate::config::{Config, Vision};
use crate::{Error, Result};

/// The connector of a model. Its inputs are what the encoders give, which only their plugins know for certain: see
/// [`ConnectorChoice::arch`].
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorChoice {
    /// The plugin.
    pub plugin: String,
    /// Which of its architectures.
    pub architecture: String,
    /// Files that hold its weights, alone or among others.
    pub weights: Vec<PathBuf>,
    /// Architecture numbers without those of the encoders.
    numbers: Map<String, Value>,
    inputs: Inputs,
}

/// Where the numbers of the encoders come from.
#[derive(Debug, Clone, PartialEq)]
enum Inputs {
    /// From the encoders; tokens as the configuration says them, where it does.
    Encoders { tokens: TokenCounts, token_lens: Option<Vec<usize>> },
    /// They stand among the other numbers.
    Stated,
}

impl ConnectorChoice {
    /// The connector of a registry row, whose numbers are all stated.
    pub(crate) fn of_row(row: &ConnectorRow) -> Self {
        Self {
            plugin: row.plugin.clone(),
            architecture: row.architecture.clone(),
            weights: Vec::new(),
            numbers: row.arch.clone(),
            inputs: Inputs::Stated,
        }
    }

    /// Architecture numbers for encoders that give `inputs`, (channels, tokens) each.
    pub fn arch(&self, inputs: &[(usize, usize)]) -> Map<String, Value> {
        let mut arch = self.numbers.clone();
        let Inputs::Encoders { tokens, token_lens } = &self.inputs else { return arch };
        let channels: Vec<usize> = inputs.iter().map(|(channels, _)| *channels).collect();
        let given = inputs.iter().map(|(_, tokens)| *tokens);
        let counts = token_lens.clone().unwrap_or_else(|| given.collect());
        arch.insert("inputs".into(), json!(channels));
        match tokens {
            TokenCounts::Equal => {
                arch.insert("token_len".into(), json!(counts.first().copied().unwrap_or(0)))
            }
            TokenCounts::Each => arch.insert("token_lens".into(), json!(counts)),
        };
        arch
    }
}

/// The connector that `vision` describes, for a language model of `width`, in `weights`.
pub(crate) fn connector(
    registry: &Registry,
    config: &Config,
    vision: &Vision,
    width: usize,
    weights: PathBuf,
    warnings: &mut Vec<String>,
) -> Result<ConnectorChoice> {
    let kind = vision.projector.as_str();
    let lookup = |source| Error::Projector { path: config.path().to_owned(), source };
    let (row, number) = registry.projector(kind).map_err(lookup)?;
    if let (TokenCounts::Equal, Some([first, ..])) = (row.tokens, vision.token_lens.as_deref())
        && vision.token_lens.iter().flatten().any(|n| n != first)
    {
        let lens = &vision.token_lens;
        return Err(config.fault(format!(
            "a connector \"{kind}\" joins channels, so all towers must give equally many tokens, not {:?}",
            lens.as_deref().unwrap_or_default()
        )));
    }
    let known = numbers(vision);
    let mut chosen = Map::new();
    for key in &row.keys {
        let value = known.get(key).or_else(|| config.get(key)).filter(|value| !value.is_null());
        chosen.extend(value.map(|value| (key.clone(), value.clone())));
    }
    if chosen.contains_key("query_num_list") && vision.groups != vision.query_num_list.len() {
        return Err(config.fault(format!(
            "`num_query_group` is {}, but `query_num_list` has {} numbers",
            vision.groups,
            vision.query_num_list.len()
        )));
    }
    if let Some([count, start, stride]) = vision.inside
        && chosen.contains_key("start_of_vision_sampler_layers")
    {
        let last = start.saturating_add(count.saturating_sub(1).saturating_mul(stride));
        if let Ok(Some(depth)) = config.number("num_hidden_layers")
            && last >= depth
        {
            warnings.push(format!(
                "{}: the connector looks again after layer {last}, but the language model has {depth} layers; the \
                 layers beyond are never used",
                config.path().display()
            ));
        }
    }
    chosen.insert("output".into(), json!(width));
    chosen.extend(number.map(|(word, number)| (word.to_owned(), json!(number))));
    Ok(ConnectorChoice {
        plugin: row.plugin.clone(),
        architecture: row.architecture.clone(),
        weights: vec![weights],
        numbers: chosen,
        inputs: Inputs::Encoders { tokens: row.tokens, token_lens: vision.token_lens.clone() },
    })
}

/// What a configuration says of its connector, with the reference's values for what it leaves out; null is what it says of
/// layers that the connector does not have.
fn numbers(vision: &Vision) -> Map<String, Value> {
    let mut numbers = Map::new();
    for (key, value) in [
        ("vision_hidden_size", json!(vision.vision_hidden_size)),
        ("image_token_len", json!(vision.image_token_len)),
        ("query_num_list", json!(vision.query_num_list)),
        ("connector_depth", json!(vision.connector_depth)),
        ("connector_only", json!(vision.inside.is_none())),
        ("newline", json!(vision.cambrian)),
        ("unpad", json!(vision.cambrian)),
    ] {
        numbers.insert(key.into(), value);
    }
    let keys = ["num_of", "start_of", "stride_of"].map(|word| format!("{word}_vision_sampler_layers"));
    for (i, key) in keys.into_iter().enumerate() {
        numbers.insert(key, json!(vision.inside.map(|numbers| numbers[i])));
    }
    numbers
}
