//! Rows, each by itself.

use serde_json::Value;
use zoo_core::Grid;

use crate::parse::Entry;
use crate::problem::Problem;
use crate::rows::{
    ConnectorRow, DecoderRow, EncoderRow, EnsembleRow, LlmRow, ModelRow, OneOrMany, ProjectorRow, Row,
    braces, whole,
};
use crate::select::Selection;

pub(super) fn encoder(entry: &Entry<EncoderRow>, problems: &mut Vec<Problem>) {
    let row = &entry.row;
    names(entry, problems);
    for (key, list) in [("aliases", &row.aliases), ("towers", &row.towers)] {
        for (i, name) in list.iter().enumerate() {
            if name.is_empty() || name.contains(char::is_whitespace) {
                let message = format!("`{name}` is no name: names have no spaces and are not empty");
                problems.push(entry.problem(&format!("{key}.{i}"), message, None));
            }
        }
    }
    let before = problems.len();
    per_layer(entry, "stride", &row.stride, problems);
    per_layer(entry, "channels", &row.channels, problems);
    if let (OneOrMany::Many(a), OneOrMany::Many(b)) = (&row.stride, &row.channels)
        && a.len() != b.len()
    {
        let message = format!("{} channels for {} strides", b.len(), a.len());
        let help = Some("give one of each per layer, or a single number for all layers".into());
        problems.push(entry.problem("channels", message, help));
    }
    if row.preprocess.normalise.mean_std().1.iter().any(|&s| !(s.is_finite() && s > 0.0)) {
        let message = "a standard deviation must be greater than zero";
        problems.push(entry.problem("preprocess.normalise.std", message, None));
    }
    if problems.len() == before
        && let Err(fault) = Selection::of(row).check()
    {
        let path = if fault.key == "layers" { "select.layers" } else { fault.key };
        problems.push(entry.problem(path, fault.message, None));
    }
}

pub(super) fn connector(entry: &Entry<ConnectorRow>, problems: &mut Vec<Problem>) {
    names(entry, problems);
    let before = problems.len();
    required(entry, "output", problems);
    required(entry, "inputs", problems);
    for key in ["output", "token_len", "image_token_len"] {
        if let Some(value) = entry.row.arch.get(key) {
            positive(entry, &format!("arch.{key}"), value, problems);
        }
    }
    for key in ["inputs", "token_lens", "query_num_list"] {
        if let Some(value) = entry.row.arch.get(key) {
            positives(entry, &format!("arch.{key}"), value, problems);
        }
    }
    if problems.len() == before {
        grids(entry, problems);
    }
}

/// Token counts of a connector: squares, and cut into whole windows by its queries.
fn grids(entry: &Entry<ConnectorRow>, problems: &mut Vec<Problem>) {
    let row = &entry.row;
    if let Some(tokens) = row.tokens() {
        square(entry, "arch.image_token_len", tokens, problems);
    }
    let queries = row.queries().into_iter().enumerate();
    let sides: Vec<_> = queries
        .filter_map(|(i, n)| square(entry, &format!("arch.query_num_list.{i}"), n, problems))
        .collect();
    let listed = row.arch.get("token_lens").and_then(Value::as_array);
    let inputs = row.inputs();
    if let Some(lens) = listed.filter(|lens| lens.len() != inputs.len()) {
        let message = format!("{} token counts for {} inputs", lens.len(), inputs.len());
        problems.push(entry.problem("arch.token_lens", message, None));
        return;
    }
    for (i, tokens) in inputs.iter().enumerate().filter_map(|(i, input)| Some((i, input.tokens?))) {
        let path = if listed.is_some() { format!("arch.token_lens.{i}") } else { "arch.token_len".into() };
        let side = square(entry, &path, tokens, problems);
        let uneven =
            side.and_then(|side| sides.iter().find(|&&q| !side.is_multiple_of(q)).map(|&q| (side, q)));
        if let Some((side, q)) = uneven {
            let message = format!("a grid of {side}×{side} cannot be cut into {q}×{q} windows");
            let help = format!("the side must be a multiple of {q}: {}", multiples(q));
            problems.push(entry.problem(&path, message, Some(help)));
        }
        if listed.is_none() {
            break; // one number for all: one message
        }
    }
}

fn required(entry: &Entry<ConnectorRow>, key: &str, problems: &mut Vec<Problem>) {
    if !entry.row.arch.contains_key(key) {
        let help = "every connector states `inputs` (channels per encoder) and `output` (width) in its arch";
        problems.push(entry.problem("arch", format!("arch lacks the key `{key}`"), Some(help.into())));
    }
}

fn positives(entry: &Entry<ConnectorRow>, path: &str, value: &Value, problems: &mut Vec<Problem>) {
    match value.as_array() {
        Some(list) if !list.is_empty() => {
            for (i, value) in list.iter().enumerate() {
                positive(entry, &format!("{path}.{i}"), value, problems);
            }
        }
        _ => problems.push(entry.problem(path, "a list of whole numbers is expected here", None)),
    }
}

fn positive(entry: &Entry<ConnectorRow>, path: &str, value: &Value, problems: &mut Vec<Problem>) {
    if whole(value).is_none_or(|n| n == 0) {
        problems.push(entry.problem(path, "a whole number greater than zero is expected here", None));
    }
}

pub(super) fn ensemble(entry: &Entry<EnsembleRow>, problems: &mut Vec<Problem>) {
    names(entry, problems);
    if entry.row.members.is_empty() {
        problems.push(entry.problem("members", "an ensemble needs a member", None));
    }
    for (i, member) in entry.row.members.iter().enumerate() {
        if let Some(tokens) = member.tokens {
            square(entry, &format!("members.{i}.tokens"), tokens, problems);
        }
    }
}

pub(super) fn llm(entry: &Entry<LlmRow>, problems: &mut Vec<Problem>) {
    names(entry, problems);
    if entry.row.hidden == 0 {
        problems.push(entry.problem("hidden", "`hidden` cannot be zero", None));
    }
}

pub(super) fn model(entry: &Entry<ModelRow>, problems: &mut Vec<Problem>) {
    names(entry, problems);
}

pub(super) fn decoder(entry: &Entry<DecoderRow>, problems: &mut Vec<Problem>) {
    names(entry, problems);
    for (key, list) in [("model_types", &entry.row.model_types), ("keys", &entry.row.keys)] {
        if list.is_empty() {
            problems.push(entry.problem(key, format!("`{key}` is empty"), None));
        }
    }
}

pub(super) fn projector(entry: &Entry<ProjectorRow>, problems: &mut Vec<Problem>) {
    names(entry, problems);
    if entry.row.types.is_empty() {
        problems.push(entry.problem("types", "`types` is empty", None));
    }
    for (i, pattern) in entry.row.types.iter().enumerate() {
        let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let right = match braces(pattern) {
            Some((front, name, back)) => word(name) && !front.contains('}') && !back.contains(['{', '}']),
            None => !pattern.is_empty() && !pattern.contains(['{', '}']),
        };
        if !right {
            let help = "write a type as it stands in a config.json, or with one number's name in braces: \
                        `mlp{depth}x_gelu`";
            let message = format!("`{pattern}` is no type of connector");
            problems.push(entry.problem(&format!("types.{i}"), message, Some(help.into())));
        }
    }
}

/// Token counts of the first grids that `q × q` windows can tile.
pub(super) fn multiples(q: usize) -> String {
    [1, 2, 4].map(|m| (m * q).saturating_pow(2).to_string()).join(", ") + ", … tokens"
}

fn names<T: Row>(entry: &Entry<T>, problems: &mut Vec<Problem>) {
    let id = entry.row.id();
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if id.is_empty() || !id.chars().all(legal) || id.starts_with(['-', '.']) {
        let help = Some("use lower-case letters, digits, `-`, `_` and `.`".into());
        problems.push(entry.problem("id", format!("`{id}` is no id"), help));
    }
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    for (key, name) in entry.row.plugin().into_iter().flat_map(|(p, a)| [("plugin", p), ("architecture", a)])
    {
        if name.is_empty() || !name.chars().all(legal) {
            let help = "use lower-case letters, digits, `-` and `_`; a registry names a plugin, never a file";
            problems.push(entry.problem(key, format!("`{name}` is no {key} name"), Some(help.into())));
        }
    }
}

fn per_layer(entry: &Entry<EncoderRow>, key: &str, values: &OneOrMany<usize>, problems: &mut Vec<Problem>) {
    // The upper end keeps sums of channels and squares of sides within a machine word.
    let sane = |&n: &usize| n > 0 && u32::try_from(n).is_ok();
    let list = values.as_slice();
    if list.is_empty() {
        problems.push(entry.problem(key, format!("`{key}` is empty"), None));
    } else if !list.iter().all(sane) {
        problems.push(entry.problem(key, format!("`{key}` lies between 1 and {}", u32::MAX), None));
    }
}

/// The side of a square of `tokens`.
fn square<T: Row>(entry: &Entry<T>, path: &str, tokens: usize, problems: &mut Vec<Problem>) -> Option<usize> {
    match Grid::of_tokens(tokens) {
        Ok(grid) => Some(grid.h),
        Err(error) => {
            problems.push(entry.problem(path, error.to_string(), None));
            None
        }
    }
}
