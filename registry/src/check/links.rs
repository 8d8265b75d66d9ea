//! What rows say of each other.

use super::row::multiples;
use super::unique;
use crate::parse::{Entry, Rows};
use crate::problem::Problem;
use crate::registry::Registry;
use crate::rows::{ConnectorRow, EnsembleRow, ModelRow, Row};
use crate::{LookupError, Selection};

/// Everything between rows, in the order of files and lines.
pub(crate) fn links(registry: &Registry, rows: &Rows) -> Vec<Problem> {
    let mut problems = unique::across(rows);
    if problems.is_empty() {
        rows.ensembles.iter().for_each(|entry| ensemble(registry, entry, &mut problems));
        rows.models.iter().for_each(|entry| model(registry, entry, &mut problems));
    }
    problems.sort_by(|a, b| (&a.place.file, a.place.span.start).cmp(&(&b.place.file, b.place.span.start)));
    problems
}

fn ensemble(registry: &Registry, entry: &Entry<EnsembleRow>, problems: &mut Vec<Problem>) {
    let before = problems.len();
    let mut selections = Vec::new();
    for (i, member) in entry.row.members.iter().enumerate() {
        match registry.member(member) {
            Err(error) => problems.push(unknown(entry, &format!("members.{i}.encoder"), &error)),
            Ok(selection) => {
                if let Err(fault) = selection.check() {
                    let message = format!("{}: {}", selection.row.id, fault.message);
                    problems.push(entry.problem(&format!("members.{i}.{}", fault.key), message, None));
                }
                selections.push(selection);
            }
        }
    }
    let connector = match entry.row.connector.as_deref().map(|id| registry.connector(id)).transpose() {
        Ok(connector) => connector,
        Err(error) => {
            problems.push(unknown(entry, "connector", &error));
            None
        }
    };
    let Some(connector) = connector.filter(|_| problems.len() == before) else { return };
    for misfit in misfits(&selections, connector) {
        let path = misfit.member.map_or_else(|| "connector".into(), |(i, key)| format!("members.{i}.{key}"));
        problems.push(entry.problem(&path, misfit.message, Some(misfit.help)));
    }
}

fn model(registry: &Registry, entry: &Entry<ModelRow>, problems: &mut Vec<Problem>) {
    let row = &entry.row;
    let mut note = |path: &str, error: &LookupError| problems.push(unknown(entry, path, error));
    let ensemble = registry.ensemble(&row.ensemble).inspect_err(|e| note("ensemble", e)).ok();
    let connector = registry.connector(&row.connector).inspect_err(|e| note("connector", e)).ok();
    let llm = registry.llm(&row.llm).inspect_err(|e| note("llm", e)).ok();
    let Some(connector) = connector else { return };
    if let Some(llm) = llm.filter(|llm| llm.hidden != connector.output()) {
        let message = format!(
            "connector `{}` gives tokens of width {}, but `{}` takes {}",
            connector.id,
            connector.output(),
            llm.id,
            llm.hidden
        );
        problems.push(entry.problem("connector", message, None));
    }
    // What is wrong in an ensemble, or between it and its own connector, was reported at its row.
    let ensemble = ensemble.filter(|e| e.connector.as_deref() != Some(&connector.id));
    let Some(selections) = ensemble.and_then(|e| sound(registry, e)) else { return };
    for misfit in misfits(&selections, connector) {
        let who =
            misfit.member.map_or_else(String::new, |(i, _)| format!("member {i} of `{}`: ", row.ensemble));
        problems.push(entry.problem("connector", format!("{who}{}", misfit.message), Some(misfit.help)));
    }
}

/// The members of an ensemble, if there is nothing to say against any of them.
fn sound<'a>(registry: &'a Registry, ensemble: &EnsembleRow) -> Option<Vec<Selection<'a>>> {
    let usable = |m| registry.member(m).ok().filter(|selection| selection.check().is_ok());
    ensemble.members.iter().map(usable).collect()
}

fn unknown<T: Row>(entry: &Entry<T>, path: &str, error: &LookupError) -> Problem {
    let (message, help) = error.parts();
    entry.problem(path, message, help)
}

/// Where an ensemble and a connector do not fit.
struct Misfit {
    /// The member and the key of it that is to blame; the connector as a whole if none.
    member: Option<(usize, &'static str)>,
    message: String,
    help: String,
}

fn misfits(selections: &[Selection<'_>], connector: &ConnectorRow) -> Vec<Misfit> {
    let id = &connector.id;
    let (inputs, queries) = (connector.inputs(), connector.queries());
    if selections.len() != inputs.len() {
        let message = format!(
            "connector `{id}` fuses {} encoders, but this ensemble has {}",
            inputs.len(),
            selections.len()
        );
        let help = "a connector has one input per member, in the same order".into();
        return vec![Misfit { member: None, message, help }];
    }
    let mut misfits = Vec::new();
    for (i, (selection, input)) in selections.iter().zip(&inputs).enumerate() {
        let encoder = &selection.row.id;
        let mut fault = |key, message, help| misfits.push(Misfit { member: Some((i, key)), message, help });
        let channels = selection.channels();
        if channels != input.channels {
            fault(
                "encoder",
                format!("`{encoder}` gives {channels} channels here, but `{id}` expects {}", input.channels),
                format!("the layers in use are {:?}; check them and the order of members", selection.layers),
            );
        }
        let grid = selection.grid();
        if let Some(tokens) = input.tokens.filter(|&tokens| tokens != grid.cells()) {
            fault(
                "tokens",
                format!("`{encoder}` gives {} tokens here, but `{id}` expects {tokens}", grid.cells()),
                format!("write `tokens = {tokens}` to resample them"),
            );
        } else if let Some(q) = queries.iter().map(|q| q.isqrt()).find(|&q| !grid.h.is_multiple_of(q)) {
            fault(
                "tokens",
                format!(
                    "`{encoder}` gives a grid of {grid} here, which `{id}` cannot cut into {q}×{q} windows"
                ),
                format!("the side must be a multiple of {q}: {}", multiples(q)),
            );
        }
    }
    misfits
}
