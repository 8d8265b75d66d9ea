//! `zoo info`

use std::fmt::Write as _;

use serde_json::{Value, json};
use zoo_core::{Extent, OptionKind, Precision, Preprocess, path_text};
use zoo_host::{EncoderRequest, HostError, Judgement, Shipped, WeightsStatus, Zoo};
use zoo_registry::{Kind, LlmRow, LookupError, ModelRow, Selection, Supervision, Weights};

use super::{check, plugins};
use crate::args::InfoArgs;
use zoo_terminal::table::{bytes, count};
use zoo_terminal::{CliError, Context, Report, counted, placed};

pub(super) fn run(args: &InfoArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let zoo = context.zoo()?;
    let (registry, id) = (zoo.registry(), args.id.as_str());
    let kind = Kind::ALL.into_iter().find(|&kind| registry.names(kind).contains(&id));
    // The plugin has its say about the row that was asked for.
    let judge = |kind: Kind, report| judged(report, &zoo.judge_rows(&[(kind, id.to_owned())]));
    match kind {
        Some(Kind::Ensemble) => check::one(&zoo, id),
        Some(Kind::Connector) => Ok(judge(Kind::Connector, connector(&zoo, id)?)),
        Some(Kind::Llm) => Ok(judge(Kind::Llm, llm(&zoo, registry.llm(id).map_err(HostError::from)?))),
        Some(Kind::Model) => Ok(model(&zoo, registry.model(id).map_err(HostError::from)?)),
        Some(Kind::Decoder) => {
            let row = registry.decoders().find(|row| row.id == id);
            let row = row.ok_or_else(|| CliError::Failed(format!("there is no decoder `{id}`")))?;
            Ok(judge(Kind::Decoder, plain("decoder", &row.id, &row.description, &json!(row))))
        }
        Some(Kind::Projector) => {
            let row = registry.projectors().find(|row| row.id == id);
            let row = row.ok_or_else(|| CliError::Failed(format!("there is no projector `{id}`")))?;
            Ok(judge(Kind::Projector, plain("projector", &row.id, &row.description, &json!(row))))
        }
        // Towers are encoders, too, by names that the registry does not list.
        Some(Kind::Encoder) | None => match registry.select(id) {
            Ok(selection) => encoder(&zoo, id, &selection),
            Err(error) => match zoo.shipped_models().find(|model| kind.is_none() && model.id == id) {
                Some(model) => Ok(shipped(model)),
                None => Err(unknown(&zoo, id, error)),
            },
        },
    }
}

/// Adds what plugins have against rows; then the command has failed.
pub(super) fn judged(mut report: Report, judgement: &Judgement) -> Report {
    for problem in &judgement.problems {
        let _ = writeln!(report.text, "  error: {}", problem.line());
    }
    for note in &judgement.unjudged {
        let _ = writeln!(report.text, "  note: {note}");
    }
    report.json["problems"] = judgement.problems.iter().map(placed).collect();
    report.json["notes"] = json!(judgement.unjudged);
    report.failed |= !judgement.problems.is_empty();
    report
}

/// Where a row was written, as `file:line`.
pub(super) fn place(zoo: &Zoo, kind: Kind, id: &str) -> String {
    zoo.registry().origin(kind, id).map_or_else(String::new, |o| format!("{}:{}", o.file, o.line))
}

/// A name that is nothing at all: the nearest names of every kind.
fn unknown(zoo: &Zoo, id: &str, error: LookupError) -> CliError {
    if !matches!(error, LookupError::Unknown { .. }) {
        return HostError::from(error).into();
    }
    let registry = zoo.registry();
    let others = [
        registry.ensemble(id).err(),
        registry.connector(id).err(),
        registry.llm(id).err(),
        registry.model(id).err(),
    ];
    if let Some(wrong) = others.iter().flatten().find(|e| matches!(e, LookupError::SetAside { .. })) {
        return HostError::from(wrong.clone()).into();
    }
    let nearest: Vec<String> = std::iter::once(&error)
        .chain(others.iter().flatten())
        .flat_map(|e| e.nearest().iter().take(2))
        .map(|name| format!("`{name}`"))
        .collect();
    let help = if nearest.is_empty() {
        "; `zoo list` shows what there is".into()
    } else {
        format!("; did you mean {}?", nearest.join(" or "))
    };
    CliError::Failed(format!("nothing is called `{id}`{help}"))
}

fn encoder(zoo: &Zoo, name: &str, selection: &Selection<'_>) -> Result<Report, CliError> {
    let row = selection.row;
    let inspection = zoo.inspect_encoder(&EncoderRequest::new(name));
    let status = zoo.weights_status(&row.id);
    let (status_words, status_json) = weights_words(status.as_ref());
    let pixels = selection.preprocess();
    let grid = selection.grid();
    let layers: Vec<String> = selection.layers.iter().map(ToString::to_string).collect();
    let norm = if selection.norm { "with the final norm" } else { "without the final norm" };

    let mut out = Lines::new(&row.id, &row.description);
    out.line("kind", "encoder");
    out.line("row", place(zoo, Kind::Encoder, &row.id));
    out.line("class", class(row.supervision));
    out.line("plugin", plugins::words(zoo, &row.plugin));
    out.line("architecture", format!("{} {}", row.architecture, json!(row.arch)));
    out.line("output", format!("{} channels on {grid} = {} tokens", selection.channels(), grid.cells()));
    out.line("layers", format!("{} {norm}", layers.join(", ")));
    out.line("preprocessing", pixel_words(&pixels));
    out.line("licence", row.licence_words());
    out.line("weights", format!("{}: {status_words}", source_words(&row.weights)));
    if let Some(text) = &row.text {
        out.line("texts", format!("{} {}", text.architecture, json!(text.arch)));
    }
    if !row.aliases.is_empty() {
        out.line("aliases", row.aliases.join(", "));
    }
    if !row.towers.is_empty() {
        out.line("towers", row.towers.join(", "));
    }
    let mut json = json!({
        "kind": "encoder",
        "row": row,
        "origin": place(zoo, Kind::Encoder, &row.id),
        "resolution": selection.resolution,
        "layers": selection.layers,
        "norm": selection.norm,
        "grid": [grid.h, grid.w],
        "channels": selection.channels(),
        "preprocess": pixels,
        "weights_status": status_json,
    });
    match inspection {
        Ok(found) => {
            out.line("parameters", sizes(found.descriptor.parameters));
            if let Some(vector) = &found.embedding {
                out.line("vector", format!("{} numbers: {}", vector.width, vector.about));
            }
            out.line(
                "cost",
                format!(
                    "{} multiply-accumulates per image of {} px",
                    count(found.cost.macs),
                    found.resolution
                ),
            );
            out.line("activations", format!("{} per image in f32", bytes(found.cost.activation_bytes)));
            out.line("resolution", resolution_words(&found.descriptor));
            let prefix = found.descriptor.prefix.len();
            let layers = found.descriptor.layers.len();
            out.line("depth", format!("{}, {}", counted(layers, "layer"), counted(prefix, "prefix token")));
            for option in &found.descriptor.options {
                out.line("option", option_words(option));
            }
            json["descriptor"] = json!(found.descriptor);
            json["parameters"] = found.descriptor.parameters.into();
            json["gmacs"] = (found.cost.macs as f64 / 1e9).into();
            json["tensors"] = found.tensors.len().into();
        }
        Err(error) => {
            out.line("parameters", format!("unknown: {error}"));
            json["plugin_error"] = error.to_string().into();
        }
    }
    Ok(judged(Report::new(out.text, json), &zoo.judge_rows(&[(Kind::Encoder, row.id.clone())])))
}

fn connector(zoo: &Zoo, id: &str) -> Result<Report, CliError> {
    let row = zoo.registry().connector(id).map_err(HostError::from)?;
    let (status_words, status_json) = weights_words(Ok(&zoo.connector_status(row)));
    let mut out = Lines::new(&row.id, &row.description);
    out.line("kind", "connector");
    out.line("row", place(zoo, Kind::Connector, id));
    out.line("plugin", plugins::words(zoo, &row.plugin));
    out.line("architecture", format!("{} {}", row.architecture, json!(row.arch)));
    let input = |i: &zoo_registry::Input| {
        i.tokens.map_or_else(|| format!("{} channels", i.channels), |n| format!("{n} × {}", i.channels))
    };
    out.line("inputs", row.inputs().iter().map(input).collect::<Vec<_>>().join(", "));
    out.line("output", format!("{} wide", row.output()));
    let source = row.weights.as_ref().map_or_else(String::new, |w| format!("{}: ", source_words(w)));
    out.line("weights", format!("{source}{status_words}"));
    let json = json!({ "kind": "connector", "row": row, "weights_status": status_json });
    Ok(Report::new(out.text, json))
}

fn llm(zoo: &Zoo, row: &LlmRow) -> Report {
    let mut out = Lines::new(&row.id, &row.description);
    out.line("kind", "language model");
    out.line("row", place(zoo, Kind::Llm, &row.id));
    out.line("plugin", plugins::words(zoo, &row.plugin));
    out.line("architecture", format!("{} {}", row.architecture, json!(row.arch)));
    out.line("hidden", row.hidden);
    out.line("licence", &row.licence);
    let (status_words, status_json) = weights_words(Ok(&zoo.llm_status(row)));
    out.line("weights", format!("{}: {status_words}", source_words(&row.weights)));
    Report::new(out.text, json!({ "kind": "language model", "row": row, "weights_status": status_json }))
}

fn model(zoo: &Zoo, row: &ModelRow) -> Report {
    let (status_words, status_json) = weights_words(Ok(&zoo.model_status(row)));
    let mut out = Lines::new(&row.id, &row.description);
    out.line("kind", "model");
    out.line("row", place(zoo, Kind::Model, &row.id));
    out.line("ensemble", &row.ensemble);
    out.line("connector", &row.connector);
    out.line("language model", &row.llm);
    out.line("template", &row.template);
    out.line("licence", &row.licence);
    let source = row.weights.as_ref().map_or_else(|| "those of its parts".to_owned(), source_words);
    out.line("weights", format!("{source}: {status_words}"));
    Report::new(out.text, json!({ "kind": "model", "row": row, "weights_status": status_json }))
}

/// A model that the program carries with it.
fn shipped(model: &Shipped) -> Report {
    let mut out = Lines::new(model.id, model.description);
    out.line("kind", "model");
    out.line("licence", model.licence);
    out.line("weights", format!("shipped with the program: {} in all", bytes(model.size() as u64)));
    out.line("use", format!("zoo ask IMAGE QUESTION --model {}", model.id));
    let (row, status) = shipped_json(model);
    Report::new(out.text, json!({ "kind": "model", "row": row, "weights_status": status }))
}

/// What a row would say, and where the weights are.
pub(super) fn shipped_json(model: &Shipped) -> (Value, Value) {
    let row = json!({ "id": model.id, "description": model.description, "licence": model.licence });
    (row, json!({ "state": "shipped", "bytes": model.size() }))
}

fn plain(kind: &str, id: &str, description: &str, row: &Value) -> Report {
    let mut out = Lines::new(id, description);
    out.line("kind", kind);
    for (key, value) in row.as_object().into_iter().flatten() {
        if !["id", "description"].contains(&key.as_str()) {
            out.line(key, words(value));
        }
    }
    Report::new(out.text, json!({ "kind": kind, "row": row }))
}

/// A value as a person writes it: no quotes, no brackets around a list.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// `key   value` lines below a heading.
struct Lines {
    text: String,
}

impl Lines {
    fn new(id: &str, description: &str) -> Self {
        Self { text: format!("{id}\n{description}\n\n") }
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.text, "  {key:<14} {value}");
    }
}

/// `self_supervised_contrastive` in words.
pub(super) fn class(supervision: Supervision) -> String {
    match serde_json::to_value(supervision) {
        Ok(Value::String(text)) => text.replace('_', " "),
        _ => String::new(),
    }
}

/// Where weights are, for a cell of a table and for programs.
pub(super) fn weights_words(status: Result<&WeightsStatus, &HostError>) -> (String, Value) {
    match status {
        Err(error) => (error.to_string(), json!({ "state": "error", "error": error.to_string() })),
        Ok(WeightsStatus::Local(path)) => {
            ("on this machine".into(), json!({ "state": "local", "files": [path_text(&path)] }))
        }
        Ok(WeightsStatus::Cached(files)) => (
            "in the cache".into(),
            json!({ "state": "cached", "files": files.iter().map(path_text).collect::<Vec<_>>() }),
        ),
        Ok(WeightsStatus::Generated { seed }) => (
            format!("UNTRAINED, seed {seed}"),
            json!({ "state": "generated", "seed": seed, "untrained": true }),
        ),
        Ok(WeightsStatus::Missing { repo, files }) => {
            ("to be pulled".into(), json!({ "state": "missing", "repo": repo, "files": files }))
        }
        Ok(WeightsStatus::Elsewhere { place }) => {
            let words = if place.contains("://") { "not on the Hub" } else { place };
            (words.into(), json!({ "state": "elsewhere", "place": place }))
        }
        Ok(WeightsStatus::None) => ("none published".into(), json!({ "state": "none" })),
    }
}

fn source_words(weights: &Weights) -> String {
    match weights {
        Weights::Hub { repo, revision, files, .. } => {
            let files: Vec<&str> = files.iter().map(|f| f.name.as_str()).collect();
            format!("{repo} ({}, revision {revision})", files.join(", "))
        }
        Weights::Path { path, .. } => path.clone(),
        Weights::Elsewhere { place, .. } => place.clone(),
        Weights::Seed(_) => "made on this machine".into(),
    }
}

/// The pixel pipeline in one line.
fn pixel_words(p: &Preprocess) -> String {
    let filter = |f| match serde_json::to_value(f) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    };
    let then = p.then.as_ref().map_or_else(String::new, |then| {
        format!(", then to {} px {} with a centre crop of {} px", then.resize, filter(then.filter), p.size)
    });
    let scale = if p.raw { "0..255" } else { "0..1" };
    format!(
        "pad to a square with {:?}, resize to {} px {}{then}; {scale}, mean {:?}, std {:?}",
        p.pad,
        p.size,
        filter(p.filter),
        p.mean,
        p.std
    )
}

fn resolution_words(descriptor: &zoo_core::EncoderDescriptor) -> String {
    let rule = match descriptor.resolution {
        zoo_core::Resolution::Fixed => "no other size".to_owned(),
        zoo_core::Resolution::MultipleOf(m) => format!("any multiple of {m}"),
        zoo_core::Resolution::AtLeast(m) => format!("any size from {m}"),
    };
    format!("{} px native; {rule}", descriptor.native)
}

/// `step: time step, 0..=999, 250 if absent`.
fn option_words(option: &zoo_core::OptionInfo) -> String {
    let kind = match &option.kind {
        OptionKind::Integer { default, least, most } => format!("{least}..={most}, {default} if absent"),
        OptionKind::Choice { default, among } => format!("{}; {default} if absent", among.join(", ")),
        OptionKind::Tensor { shape } => {
            let axis = |extent: &Extent| match *extent {
                Extent::Batch => "B".to_owned(),
                Extent::Is(length) => length.to_string(),
                Extent::Height(cell) => format!("H/{cell}"),
                Extent::Width(cell) => format!("W/{cell}"),
            };
            let shape: Vec<String> = shape.iter().map(axis).collect();
            format!("f32 [{}] beside `pixels`, from a fixed seed if absent", shape.join(","))
        }
    };
    format!("{}: {}, {kind}", option.name, option.about)
}

/// `304 M (1.2 GB in f32, 608 MB in bf16 or f16)`.
pub(super) fn sizes(parameters: u64) -> String {
    let memory = |precision: Precision| bytes(parameters * precision.bytes());
    format!(
        "{} ({} in f32, {} in bf16 or f16)",
        count(parameters),
        memory(Precision::F32),
        memory(Precision::Bf16)
    )
}
