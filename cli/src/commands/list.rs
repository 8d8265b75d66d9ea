//! `zoo list`

use serde_json::{Map, Value, json};
use zoo_host::Zoo;
use zoo_registry::{Member, Registry, Supervision, Weights};

use super::info::{class, shipped_json, weights_words};
use super::plugins;
use crate::args::{ListArgs, What};
use zoo_terminal::table::Table;
use zoo_terminal::{CliError, Context, Report};

pub(super) fn run(args: &ListArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let zoo = context.zoo()?;
    let everything = [What::Encoders, What::Ensembles, What::Connectors, What::Llms, What::Models];
    let kinds = args.what.map_or(everything.to_vec(), |what| vec![what]);
    let (mut text, mut json) = (String::new(), Map::new());
    for kind in kinds {
        let (name, table, rows) = section(kind, &zoo);
        let empty = rows.is_empty();
        json.insert(name.to_owned(), rows.into());
        match (args.what.is_some(), empty) {
            // A kind that nobody asked for and that has no rows is not worth a heading.
            (false, true) => {}
            (_, true) => text.push_str(&format!("There are no {name}.\n")),
            (true, false) => text.push_str(&table.render(0)),
            (false, false) => {
                let gap = if text.is_empty() { "" } else { "\n" };
                text.push_str(&format!("{gap}{name}\n{}", table.render(2)));
            }
        }
    }
    Ok(Report::new(text, json.into()))
}

fn section(kind: What, zoo: &Zoo) -> (&'static str, Table, Vec<Value>) {
    let registry = zoo.registry();
    match kind {
        What::Encoders => {
            let (table, rows) = encoders(zoo);
            ("encoders", table, rows)
        }
        What::Ensembles => {
            let (table, rows) = ensembles(registry);
            ("ensembles", table, rows)
        }
        What::Connectors => {
            let mut table = Table::new(&["ID", "PLUGIN", ">INPUTS", ">WIDTH", "DESCRIPTION"]);
            for row in registry.connectors() {
                table.row([
                    row.id.clone(),
                    row.plugin.clone(),
                    row.inputs().len().to_string(),
                    row.output().to_string(),
                    row.description.clone(),
                ]);
            }
            ("connectors", table, registry.connectors().map(|row| json!(row)).collect())
        }
        What::Llms => {
            let mut table = Table::new(&["ID", "PLUGIN", ">HIDDEN", "LICENCE", "DESCRIPTION"]);
            for row in registry.llms() {
                let cells = [&row.id, &row.plugin, &row.hidden.to_string(), &row.licence, &row.description];
                table.row(cells.map(String::clone));
            }
            ("llms", table, registry.llms().map(|row| json!(row)).collect())
        }
        What::Models => {
            let (table, rows) = models(zoo);
            ("models", table, rows)
        }
        What::Plugins => {
            let (table, rows) = plugins::table(zoo);
            ("plugins", table, rows)
        }
    }
}

/// The rows of a family, by what they learnt from.
type Classes = Vec<(Supervision, Vec<[String; 8]>)>;

/// The table groups them by family and by what they learnt from, in the order in which the registry begins families; JSON
/// keeps its order.
fn encoders(zoo: &Zoo) -> (Table, Vec<Value>) {
    let mut table =
        Table::new(&["ID", ">PX", ">GRID", ">CHANNELS", ">PARAMS", ">GMACS", "LICENCE", "WEIGHTS"]);
    let mut families: Vec<(&str, Classes)> = Vec::new();
    let mut rows = Vec::new();
    for row in zoo.registry().encoders() {
        let selection = zoo_registry::Selection::of(row);
        let (words, weights) = weights_words(zoo.weights_status(&row.id).as_ref());
        let cells = [
            row.id.clone(),
            row.resolution.to_string(),
            selection.grid().to_string(),
            selection.channels().to_string(),
            row.parameters.map_or_else(unknown, millions),
            row.gmacs.map_or_else(unknown, gmacs),
            row.licence_words(),
            match &row.weights {
                Weights::Hub { repo, .. } => format!("{words}: {repo}"),
                _ => words,
            },
        ];
        let classes = entry(&mut families, row.plugin.as_str());
        entry(classes, row.supervision).push(cells);
        let mut json = json!(row);
        json["grid"] = json!([selection.grid().h, selection.grid().w]);
        json["output_channels"] = selection.channels().into();
        json["plugin_found"] = plugins::available(zoo, &row.plugin).into();
        json["weights_status"] = weights;
        rows.push(json);
    }
    for (family, classes) in families {
        let there = if plugins::available(zoo, family) { "" } else { " (plugin missing)" };
        for (supervision, members) in classes {
            table.group(format!("{family}: {}{there}", class(supervision)));
            members.into_iter().for_each(|cells| table.row(cells));
        }
    }
    (table, rows)
}

/// What stands beside `key`, which is put last where it is new.
fn entry<K: PartialEq, V>(list: &mut Vec<(K, Vec<V>)>, key: K) -> &mut Vec<V> {
    let at = list.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        list.push((key, Vec::new()));
        list.len() - 1
    });
    &mut list[at].1
}

fn unknown() -> String {
    "?".to_owned()
}

/// `304 M`.
fn millions(parameters: u64) -> String {
    match parameters as f64 / 1e6 {
        small if small < 10.0 => format!("{small:.1} M"),
        large => format!("{large:.0} M"),
    }
}

/// `17.6`, `191`.
fn gmacs(gmacs: f64) -> String {
    if gmacs < 100.0 { format!("{gmacs:.1}") } else { format!("{gmacs:.0}") }
}

/// Those that the program carries with it come first.
fn models(zoo: &Zoo) -> (Table, Vec<Value>) {
    let mut table = Table::new(&["ID", "ENSEMBLE", "LLM", "LICENCE", "WEIGHTS", "DESCRIPTION"]);
    let mut rows = Vec::new();
    for model in zoo.shipped_models() {
        let own = "its own";
        table.row([model.id, own, own, model.licence, "shipped", model.description].map(str::to_owned));
        let (mut json, weights) = shipped_json(model);
        json["weights_status"] = weights;
        rows.push(json);
    }
    for row in zoo.registry().models() {
        let (words, weights) = weights_words(Ok(&zoo.model_status(row)));
        let cells = [&row.id, &row.ensemble, &row.llm, &row.licence, &words, &row.description];
        table.row(cells.map(String::clone));
        let mut json = json!(row);
        json["weights_status"] = weights;
        rows.push(json);
    }
    (table, rows)
}

fn ensembles(registry: &Registry) -> (Table, Vec<Value>) {
    let mut table = Table::new(&["ID", "ENCODERS", "CONNECTOR"]);
    for row in registry.ensembles() {
        let member = |m: &Member| {
            registry
                .member(m)
                .map_or_else(|_| m.encoder.clone(), |s| format!("{}@{}", s.row.id, s.resolution))
        };
        let members: Vec<String> = row.members.iter().map(member).collect();
        let connector = row.connector.clone().unwrap_or_else(|| "–".into());
        table.row([row.id.clone(), members.join(" + "), connector]);
    }
    (table, registry.ensembles().map(|row| json!(row)).collect())
}
