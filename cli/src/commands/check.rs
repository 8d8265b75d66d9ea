//! `zoo check`, and `zoo info` of an ensemble: the composed shapes.

use serde_json::{Value, json};
use zoo_core::{Precision, path_text};
use zoo_host::{EncoderInspection, EnsembleInspection, HostError, Judgement, Zoo};
use zoo_registry::{EnsembleRow, EnsembleShape, Kind, MemberShape, Problem};

use crate::args::CheckArgs;
use zoo_terminal::table::{Table, bytes, count};
use zoo_terminal::{CliError, Context, Report, placed};

pub(super) fn run(args: &CheckArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let zoo = match &args.file {
        Some(file) => context.zoo_with(file.clone())?,
        None => context.zoo()?,
    };
    let registry = zoo.registry();
    let here = |row: &&EnsembleRow| {
        let Some(file) = &args.file else { return true };
        let name = path_text(file).into_owned();
        registry.origin(Kind::Ensemble, &row.id).is_some_and(|origin| origin.file == name)
    };
    let file = args.file.as_ref().map(|file| path_text(file).into_owned());
    let (mut text, mut ensembles) = (String::new(), Vec::new());
    let mut rows = registry.written_in(file.as_deref());
    let mut faults = Vec::new();
    let shown: Vec<&EnsembleRow> = registry.ensembles().filter(here).collect();
    let progress = context.progress("check", (shown.len() + rows.len()) as u64);
    for row in &shown {
        progress.message(&row.id);
        let composed = Composed::new(&zoo, row)?;
        text.push_str(&composed.text());
        text.push('\n');
        // Rows of other files that it uses are looked at, too.
        for part in composed.parts() {
            if !rows.contains(&part) {
                rows.push(part);
            }
        }
        // What is wrong with a row itself is said below, once; here is what is wrong with its use.
        for error in composed.errors() {
            if matches!(error, HostError::Core(zoo_core::Error::InvalidInput(_))) {
                faults.push(format!("the ensemble `{}`: {error}", row.id));
            }
        }
        ensembles.push(composed.json());
        progress.advance(1);
    }
    progress.message("plugins");
    let Judgement { problems, unjudged, .. } = zoo.judge_rows(&rows);
    progress.finish();
    // Rows of the file that need a wrong row of a plugin.
    let aside = registry.set_aside().iter().filter(|p| file.as_deref() == Some(&p.place.file));
    let problems: Vec<&Problem> = aside.chain(&problems).collect();
    if problems.iter().any(|p| p.row.as_ref().is_some_and(|(kind, _)| *kind != Kind::Ensemble)) {
        // An architecture that is not there is wrong with every use of it.
        faults.retain(|fault| !fault.contains(" architecture `"));
    }
    faults.extend(problems.iter().map(|p| p.line()));
    faults.dedup();
    let notes = unjudged;
    let counts = json!({
        "encoders": registry.encoders().len(),
        "connectors": registry.connectors().len(),
        "ensembles": registry.ensembles().len(),
        "llms": registry.llms().len(),
        "models": registry.models().len(),
    });
    let what = file.unwrap_or_else(|| "The registry".into());
    let verdict = match (faults.is_empty(), notes.is_empty()) {
        (false, _) => "is not in order",
        (true, false) => "is in order, except for what the notes say",
        (true, true) => "is in order",
    };
    text.push_str(&format!(
        "{what} {verdict}: {} encoders, {} connectors, {} ensembles, {} language models, {} models in all.\n",
        counts["encoders"], counts["connectors"], counts["ensembles"], counts["llms"], counts["models"]
    ));
    for note in &notes {
        context.note(&format!("note: {note}"));
    }
    for fault in &faults {
        text.push_str(&format!("error: {fault}\n"));
    }
    let failed = !faults.is_empty();
    let places: Vec<Value> = problems.iter().map(|p| placed(p)).collect();
    let json = json!({
        "valid": !failed, "counts": counts, "ensembles": ensembles, "notes": notes, "errors": faults,
        "problems": places,
    });
    Ok(Report { failed, ..Report::new(text, json) })
}

/// `zoo info` of an ensemble.
pub(super) fn one(zoo: &Zoo, id: &str) -> Result<Report, CliError> {
    let row = zoo.registry().ensemble(id).map_err(HostError::from)?;
    let composed = Composed::new(zoo, row)?;
    let mut json = composed.json();
    json["kind"] = "ensemble".into();
    json["row"] = json!(row);
    let place = super::info::place(zoo, Kind::Ensemble, id);
    let text = format!("{}  {place}\n", composed.text());
    Ok(super::info::judged(Report::new(text, json), &zoo.judge_rows(&composed.parts())))
}

/// An ensemble with all that rows and plugins know of it.
struct Composed<'a> {
    row: &'a EnsembleRow,
    shape: EnsembleShape,
    found: EnsembleInspection,
    untrained: bool,
}

impl<'a> Composed<'a> {
    fn new(zoo: &Zoo, row: &'a EnsembleRow) -> Result<Self, CliError> {
        let shape = zoo.registry().compose(row).map_err(HostError::from)?;
        let seeded = |status| matches!(status, zoo_host::WeightsStatus::Generated { .. });
        let untrained = shape.members.iter().any(|m| zoo.weights_status(&m.encoder).is_ok_and(seeded));
        Ok(Self { row, shape, found: zoo.inspect_ensemble(&row.id)?, untrained })
    }

    /// The rows that it is made of.
    fn parts(&self) -> Vec<(Kind, String)> {
        let members = self.shape.members.iter().map(|m| (Kind::Encoder, m.encoder.clone()));
        members.chain(self.shape.connector.iter().map(|id| (Kind::Connector, id.clone()))).collect()
    }

    fn members(&self) -> impl Iterator<Item = (&MemberShape, Option<&EncoderInspection>)> {
        self.shape.members.iter().zip(self.found.members.iter().map(|found| found.as_ref().ok()))
    }

    /// Why parts could not be inspected.
    fn errors(&self) -> impl Iterator<Item = &HostError> {
        let members = self.found.members.iter().filter_map(|m| m.as_ref().err());
        members.chain(self.found.connector.iter().filter_map(|c| c.as_ref().err()))
    }

    fn parameters(&self) -> Option<u64> {
        let members =
            self.members().map(|(_, found)| Some(found?.descriptor.parameters)).sum::<Option<u64>>()?;
        match &self.found.connector {
            None => Some(members),
            Some(Ok(connector)) => Some(members + connector.descriptor.parameters),
            Some(Err(_)) => None,
        }
    }

    fn macs(&self) -> Option<u64> {
        self.members().map(|(_, found)| Some(found?.cost.macs)).sum()
    }

    fn text(&self) -> String {
        let mut table = Table::new(&[
            "ENCODER",
            ">PIXELS",
            "RAW FEATURES",
            ">TOKENS",
            ">CHANNELS",
            ">WINDOW",
            ">PARAMS",
            ">F32",
            ">BF16",
            ">GMACS",
        ]);
        for (member, found) in self.members() {
            let raw: Vec<String> =
                member.layers.iter().map(|l| format!("{}@{}", l.channels, l.grid)).collect();
            let windows: Vec<String> = member.windows.iter().map(|w| format!("{w}×{w}")).collect();
            let of = |pick: &dyn Fn(&EncoderInspection) -> String| found.map_or("?".into(), pick);
            table.row([
                member.encoder.clone(),
                format!("{0}×{0}", member.resolution),
                raw.join(", "),
                member.tokens().to_string(),
                member.channels.to_string(),
                if windows.is_empty() { "–".into() } else { windows.join(", ") },
                of(&|f| count(f.descriptor.parameters)),
                of(&|f| memory(f.descriptor.parameters, Precision::F32)),
                of(&|f| memory(f.descriptor.parameters, Precision::Bf16)),
                of(&|f| gmacs(f.cost.macs)),
            ]);
        }
        let all = |value: Option<String>| value.unwrap_or_else(|| "?".into());
        if let Some(id) = &self.shape.connector {
            let parameters = match &self.found.connector {
                Some(Ok(found)) => Some(found.descriptor.parameters),
                _ => None,
            };
            let tokens = self.shape.tokens.map_or_else(|| "any".into(), |n| n.to_string());
            table.row([
                format!("→ {id}"),
                String::new(),
                String::new(),
                tokens,
                all(self.shape.width.map(|w| w.to_string())),
                String::new(),
                all(parameters.map(count)),
                all(parameters.map(|p| memory(p, Precision::F32))),
                all(parameters.map(|p| memory(p, Precision::Bf16))),
            ]);
        }
        let total = self.parameters();
        table.row([
            "total".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            all(total.map(count)),
            all(total.map(|p| memory(p, Precision::F32))),
            all(total.map(|p| memory(p, Precision::Bf16))),
            all(self.macs().map(gmacs)),
        ]);
        let untrained = if self.untrained { " · UNTRAINED, weights from a fixed seed" } else { "" };
        format!("{} · {}{untrained}\n{}", self.row.id, self.row.description, table.render(2))
    }

    fn json(&self) -> Value {
        let members: Vec<Value> = self
            .members()
            .map(|(member, found)| {
                let mut json = json!(member);
                json["tokens"] = member.tokens().into();
                if let Some(found) = found {
                    json["parameters"] = found.descriptor.parameters.into();
                    json["memory"] = memories(found.descriptor.parameters);
                    json["activation_bytes"] = found.cost.activation_bytes.into();
                    json["gmacs"] = (found.cost.macs as f64 / 1e9).into();
                }
                json
            })
            .collect();
        let connector = self.shape.connector.as_ref().map(|id| {
            let found = self.found.connector.as_ref().and_then(|c| c.as_ref().ok());
            json!({
                "id": id,
                "tokens": self.shape.tokens,
                "width": self.shape.width,
                "parameters": found.map(|f| f.descriptor.parameters),
            })
        });
        json!({
            "ensemble": self.row.id,
            "members": members,
            "connector": connector,
            "parameters": self.parameters(),
            "memory": self.parameters().map(memories),
            "gmacs": self.macs().map(|macs| macs as f64 / 1e9),
            "untrained": self.untrained,
        })
    }
}

fn memory(parameters: u64, precision: Precision) -> String {
    bytes(parameters * precision.bytes())
}

fn memories(parameters: u64) -> Value {
    let of = |precision: Precision| parameters * precision.bytes();
    json!({ "f32": of(Precision::F32), "bf16": of(Precision::Bf16), "f16": of(Precision::F16) })
}

/// Thousands of millions, with as many digits as say something.
fn gmacs(macs: u64) -> String {
    let g = macs as f64 / 1e9;
    if g >= 100.0 {
        format!("{g:.0}")
    } else if g >= 1.0 {
        format!("{g:.1}")
    } else {
        format!("{g:.3}")
    }
}
