//! `[[projector]]`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Row};

/// A kind of connector: which plugin reads the checkpoints whose `config.json` calls their connector so.
///
/// A `[[connector]]` row is one connector with its numbers; this row is what many of them have in common, so that a
/// folder with a `config.json` needs no row of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectorRow {
    /// Unique name: lower-case letters, digits, `-`, `_`, `.`.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// The plugin that implements it, `[a-z0-9_-]+`.
    pub plugin: String,
    /// Which of the plugin's architectures.
    pub architecture: String,
    /// Values of `mm_projector_type` in a `config.json`. A word in braces stands for a whole number from 1 on, which is the
    /// number of that name of the architecture: `mlp{depth}x_gelu`.
    pub types: Vec<String>,
    /// Whether encoders may give different numbers of tokens.
    pub tokens: TokenCounts,
    /// Keys of `config.json` that are the architecture's numbers, with the reference's values for those that it leaves out;
    /// `connector_only`, and what follows from the kind of the model: `newline` and `unpad`. Inputs, tokens and `output`
    /// are always given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// How many tokens the encoders of a connector give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenCounts {
    /// Each its own number: `token_lens` of the architecture.
    Each,
    /// All the same number, as channels are joined: `token_len`.
    Equal,
}

impl Row for ProjectorRow {
    const KIND: Kind = Kind::Projector;

    fn id(&self) -> &str {
        &self.id
    }

    fn plugin(&self) -> Option<(&str, &str)> {
        Some((&self.plugin, &self.architecture))
    }

    fn types(&self) -> impl Iterator<Item = &str> {
        self.types.iter().map(String::as_str)
    }
}

/// The number in the name of a type, if there is one: which of the architecture's it is, and how much.
pub type TypeNumber<'p> = Option<(&'p str, usize)>;

/// Whether `name` is such a type, and the number in it.
pub(crate) fn matched<'p>(pattern: &'p str, name: &str) -> Option<TypeNumber<'p>> {
    let Some((front, word, back)) = braces(pattern) else { return (pattern == name).then_some(None) };
    let digits = name.strip_prefix(front)?.strip_suffix(back)?;
    let number = digits.parse().ok().filter(|n| *n > 0 && !digits.starts_with(['0', '+']))?;
    Some(Some((word, number)))
}

/// What stands before, in and behind the braces of a pattern.
pub(crate) fn braces(pattern: &str) -> Option<(&str, &str, &str)> {
    let (front, rest) = pattern.split_once('{')?;
    let (word, back) = rest.split_once('}')?;
    Some((front, word, back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_where_the_braces_are() {
        for (pattern, name, expected) in [
            ("sva", "sva", Some(None)),
            ("sva", "svat", None),
            ("mlp{depth}x_gelu", "mlp2x_gelu", Some(Some(("depth", 2)))),
            ("mlp{depth}x_gelu", "mlp12x_gelu", Some(Some(("depth", 12)))),
            ("mlp{depth}x_gelu", "mlp0x_gelu", None),
            ("mlp{depth}x_gelu", "mlp+2x_gelu", None),
            ("mlp{depth}x_gelu", "mlpx_gelu", None),
            ("mlp{depth}x_gelu", "mlp2x_relu", None),
        ] {
            assert_eq!(matched(pattern, name), expected, "{pattern} {name}");
        }
    }
}
