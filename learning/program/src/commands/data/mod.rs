//! `zoo data`

mod choose;
mod compare;
mod engine;
mod look;
mod shape;

use std::path::PathBuf;

use zoo_data::{DataSource, Job, Options, Replace, Sharding, Table, Target, Watch};
use zoo_terminal::args::Part;
use zoo_terminal::{CliError, Context, Progress, Report, interrupt};

use super::synth;
use crate::args::{DataArgs, DataCommand, InputArgs, TargetArgs};
use crate::told::plain;

pub(super) fn run(args: &DataArgs, context: &Context<'_>) -> Result<Report, CliError> {
    match &args.command {
        DataCommand::Inspect(args) => look::inspect(args, context),
        DataCommand::Check(args) => look::check(args, context),
        DataCommand::Curate(args) => choose::curate(args, context),
        DataCommand::Mix(args) => choose::mix(args, context),
        DataCommand::Split(args) => choose::split(args, context),
        DataCommand::Convert(args) => shape::convert(args, context),
        DataCommand::Prompt(args) => shape::prompt(args, context),
        DataCommand::Dedup(args) => compare::dedup(args, context),
        DataCommand::Leak(args) => compare::leak(args, context),
        DataCommand::Engine(args) => engine::engine(args, context),
        DataCommand::Synth(args) => synth::run(args, context),
    }
}

/// Runs a job with progress, until somebody ends it.
fn job<T>(
    context: &Context<'_>,
    what: &str,
    run: impl FnOnce(&mut Job<'_>) -> Result<T, zoo_data::Error>,
) -> Result<T, CliError> {
    let mut line = Line { progress: context.counting(what), done: 0 };
    let done = run(&mut Job::new(&mut line, interrupt::flag()));
    line.progress.finish();
    done.map_err(|error| match error {
        zoo_data::Error::Stopped => CliError::Ended {
            message: error.to_string(),
            json: serde_json::json!({ "stopped": true }),
            code: interrupt::STOPPED,
        },
        other => plain(other),
    })
}

struct Line {
    progress: Progress,
    done: u64,
}

impl Watch for Line {
    fn rows(&mut self, done: u64) {
        self.progress.advance(done.saturating_sub(self.done));
        self.done = done;
    }
}

fn sources(input: &InputArgs) -> Vec<DataSource> {
    let source = |records: &PathBuf| DataSource {
        records: records.clone(),
        images: match &input.images {
            Some(images) => images.clone(),
            None => records.parent().map(Into::into).unwrap_or_default(),
        },
    };
    input.records.iter().map(source).collect()
}

fn table(input: &InputArgs) -> Result<Table, CliError> {
    Table::open(&input.records, Options { images: input.images.clone(), ..Options::default() }).map_err(plain)
}

fn target(args: &TargetArgs) -> Target {
    let shard = args.shard.map(|rows| sharding(rows, args.part));
    Target { path: args.out.clone(), replace: replace(args.overwrite), shard }
}

fn sharding(rows: u64, part: Option<Part>) -> Sharding {
    part.map_or(Sharding::whole(rows), |Part { part, of }| Sharding {
        rows,
        part: part as u64,
        of: of as u64,
    })
}

fn replace(overwrite: bool) -> Replace {
    if overwrite { Replace::Always } else { Replace::Never }
}

/// A file and a number behind an equals sign.
fn numbered(text: &str) -> Option<(&str, f64)> {
    let (path, number) = text.rsplit_once('=')?;
    number.parse().ok().filter(|_| !path.is_empty()).map(|number| (path, number))
}
