//! From `mm_projector_type` to a connector of a plugin.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::Result;
use crate::config::{Config, Vision};

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
    /// Tokens of each encoder, where the configuration says them.
    token_lens: Option<Vec<usize>>,
    /// Architecture numbers without those of the encoders.
    numbers: Map<String, Value>,
    /// Whether all encoders give equally many tokens, stated once.
    side_by_side: bool,
}

impl ConnectorChoice {
    /// Architecture numbers for encoders that give `inputs`, (channels, tokens) each.
    pub fn arch(&self, inputs: &[(usize, usize)]) -> Map<String, Value> {
        let mut arch = self.numbers.clone();
        let channels: Vec<usize> = inputs.iter().map(|(channels, _)| *channels).collect();
        let given = inputs.iter().map(|(_, tokens)| *tokens);
        let tokens = self.token_lens.clone().unwrap_or_else(|| given.collect());
        arch.insert("inputs".into(), json!(channels));
        if self.side_by_side {
            arch.insert("token_len".into(), json!(tokens.first().copied().unwrap_or(0)));
        } else {
            arch.insert("token_lens".into(), json!(tokens));
        }
        arch
    }
}

/// The connector that `vision` describes, for a language model of `width`, in `weights`.
pub(crate) fn connector(
    config: &Config,
    vision: &Vision,
    width: usize,
    weights: PathBuf,
    warnings: &mut Vec<String>,
) -> Result<ConnectorChoice> {
    let kind = vision.projector.as_str();
    if kind == "sva" {
        return Ok(aggregator(config, vision, width, weights, warnings));
    }
    let (architecture, depth) = match (kind, depth(kind)) {
        (_, Some(depth)) => ("mlp_gelu", Some(depth)),
        ("linear" | "identity" | "se_mlp", _) => (kind, None),
        ("CAbstractor", _) => ("c_abstractor_released", None),
        _ => {
            return Err(config.fault(format!(
                "`mm_projector_type` is \"{kind}\"; known are \"sva\", \"linear\", \"mlp2x_gelu\" (any depth), \
                 \"identity\", \"se_mlp\" and \"CAbstractor\""
            )));
        }
    };
    if let Some([first, ..]) = vision.token_lens.as_deref()
        && vision.token_lens.iter().flatten().any(|n| n != first)
    {
        let lens = &vision.token_lens;
        return Err(config.fault(format!(
            "a connector \"{kind}\" joins channels, so all towers must give equally many tokens, not {:?}",
            lens.as_deref().unwrap_or_default()
        )));
    }
    let mut numbers = Map::new();
    numbers.insert("output".into(), json!(width));
    numbers.insert("newline".into(), json!(vision.cambrian));
    numbers.insert("unpad".into(), json!(vision.cambrian));
    if let Some(depth) = depth {
        numbers.insert("depth".into(), json!(depth));
    }
    Ok(ConnectorChoice {
        plugin: "projectors".into(),
        architecture: architecture.into(),
        weights: vec![weights],
        token_lens: vision.token_lens.clone(),
        numbers,
        side_by_side: true,
    })
}

fn aggregator(
    config: &Config,
    vision: &Vision,
    width: usize,
    weights: PathBuf,
    warnings: &mut Vec<String>,
) -> ConnectorChoice {
    let mut numbers = Map::new();
    for (key, value) in [
        ("vision_hidden_size", json!(vision.vision_hidden_size)),
        ("output", json!(width)),
        ("image_token_len", json!(vision.image_token_len)),
        ("query_num_list", json!(vision.query_num_list)),
        ("connector_depth", json!(vision.connector_depth)),
        ("connector_only", json!(vision.inside.is_none())),
    ] {
        numbers.insert(key.into(), value);
    }
    if let Some([count, start, stride]) = vision.inside {
        numbers.insert("num_of_vision_sampler_layers".into(), json!(count));
        numbers.insert("start_of_vision_sampler_layers".into(), json!(start));
        numbers.insert("stride_of_vision_sampler_layers".into(), json!(stride));
        let last = start + count.saturating_sub(1) * stride;
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
    ConnectorChoice {
        plugin: "sva".into(),
        architecture: "sva".into(),
        weights: vec![weights],
        token_lens: vision.token_lens.clone(),
        numbers,
        side_by_side: false,
    }
}

/// `n` of `mlp{n}x_gelu`.
fn depth(kind: &str) -> Option<usize> {
    kind.strip_prefix("mlp")?.strip_suffix("x_gelu")?.parse().ok().filter(|n| *n > 0)
}
