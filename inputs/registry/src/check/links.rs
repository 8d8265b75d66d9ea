//! What rows say of each other.

use super::row::multiples;
use super::unique;
use crate::parse::Entry;
use crate::problem::Problem;
use crate::registry::Registry;
use crate::rows::{ConnectorRow, EnsembleRow, ModelRow, Row};
use crate::table::Rows;
use crate::{LookupError, Selection};

/// What rows say of each other and is not so.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// In files whose user wrote them.
    pub wrong: Vec<Problem>,
    /// Rows that have to be left out: plugins brought them, or they need one that is left out.
    pub out: Vec<Problem>,
}

/// Everything between rows, in the order of files and lines.
pub(crate) fn links(registry: &Registry, rows: &Rows) -> Links {
    let mut links = Links::default();
    for (guest, problem) in unique::across(rows) {
        if guest { links.out.push(problem) } else { links.wrong.push(problem) }
    }
    if links.wrong.is_empty() && links.out.is_empty() {
        for entry in &rows.ensembles {
            ensemble(registry, &mut About { entry, links: &mut links, clean: true });
        }
        for entry in &rows.models {
            model(registry, &mut About { entry, links: &mut links, clean: true });
        }
    }
    let key = |p: &Problem| (p.place.file.clone(), p.place.span.start);
    links.wrong.sort_by_key(key);
    links.out.sort_by_key(key);
    links
}

/// Collects what is wrong with a row.
struct About<'a, T> {
    entry: &'a Entry<T>,
    links: &'a mut Links,
    /// Whether nothing was found so far.
    clean: bool,
}

impl<T: Row> About<'_, T> {
    /// A problem at `path`.
    fn add(&mut self, path: &str, message: String, help: Option<String>) {
        self.clean = false;
        let problem = self.entry.problem(path, message, help);
        if self.entry.source.guest { self.links.out.push(problem) } else { self.links.wrong.push(problem) }
    }

    /// A name that gave nothing.
    fn unknown(&mut self, path: &str, error: &LookupError) {
        let (message, help) = error.parts();
        if let LookupError::SetAside { .. } = error {
            self.clean = false;
            self.links.out.push(self.entry.problem(path, message, help));
        } else {
            self.add(path, message, help);
        }
    }
}

fn ensemble(registry: &Registry, about: &mut About<'_, EnsembleRow>) {
    let entry = about.entry;
    let row = &entry.row;
    let mut selections = Vec::new();
    for (i, member) in row.members.iter().enumerate() {
        match registry.member(member) {
            Err(error) => about.unknown(&format!("members.{i}.encoder"), &error),
            Ok(selection) => {
                if let Err(fault) = selection.check() {
                    let message = format!("{}: {}", selection.row.id, fault.message);
                    about.add(&format!("members.{i}.{}", fault.key), message, None);
                }
                selections.push(selection);
            }
        }
    }
    let connector = match row.connector.as_deref().map(|id| registry.connector(id)).transpose() {
        Ok(connector) => connector,
        Err(error) => {
            about.unknown("connector", &error);
            None
        }
    };
    let Some(connector) = connector.filter(|_| about.clean) else { return };
    for misfit in misfits(&selections, connector) {
        let path =
            misfit.member.map_or_else(|| "connector".to_owned(), |(i, key)| format!("members.{i}.{key}"));
        about.add(&path, misfit.message, Some(misfit.help));
    }
}

fn model(registry: &Registry, about: &mut About<'_, ModelRow>) {
    let entry = about.entry;
    let row = &entry.row;
    let mut note = |path: &str, error: &LookupError| about.unknown(path, error);
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
        about.add("connector", message, None);
    }
    // What is wrong in an ensemble, or between it and its own connector, was reported at its row.
    let ensemble = ensemble.filter(|e| e.connector.as_deref() != Some(&connector.id));
    let Some(ensemble) = ensemble else { return };
    let Some(selections) = sound(registry, ensemble) else { return };
    for misfit in misfits(&selections, connector) {
        let who =
            misfit.member.map_or_else(String::new, |(i, _)| format!("member {i} of `{}`: ", row.ensemble));
        about.add("connector", format!("{who}{}", misfit.message), Some(misfit.help));
    }
}

/// The members of an ensemble, if there is nothing to say against any of them.
fn sound<'a>(registry: &'a Registry, ensemble: &EnsembleRow) -> Option<Vec<Selection<'a>>> {
    let usable = |m| registry.member(m).ok().filter(|selection| selection.check().is_ok());
    ensemble.members.iter().map(usable).collect()
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
