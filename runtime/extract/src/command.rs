//! `zoo extract`

use std::cell::{Cell, RefCell};

use serde_json::json;
use zoo_core::path_text;
use zoo_host::{EncoderRequest, EnsembleRequest, EyesRequest};
use zoo_pipeline::Failure;
use zoo_pipeline::find::list;
use zoo_terminal::{CliError, Context, Progress, Report, counted, interrupt, table, threads};

use crate::args::{Cli, Command, ExtractArgs, KeepArg};
use crate::bill::{Bill, bill};
use crate::error::Error;
use crate::fetch::Columns;
use crate::look::Keep;
use crate::plan::{Plan, Reach, Shard};
use crate::request::{Done, Existing, Request, Watch};
use crate::run::run;

/// Failures that are written out for people.
const SHOWN: u64 = 10;

impl zoo_terminal::Program for Cli {
    fn global(&self) -> &zoo_terminal::args::Global {
        &self.global
    }

    fn command(&self, context: &Context<'_>) -> Result<Report, CliError> {
        let Command::Extract(args) = &self.command;
        extract(args, context)
    }
}

fn extract(args: &ExtractArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let (encoders, request) = (looking(args)?, request(args, context)?);
    let zoo = context.computing(&args.pixels)?;
    if args.dry_run {
        return Ok(costs(&bill(&zoo, encoders, &request).map_err(told)?));
    }
    let told_of = Told::new(context);
    let done = run(&zoo, encoders, &request, &told_of, interrupt::flag());
    told_of.finish();
    report(args, &done.map_err(told)?)
}

/// What is opened.
fn looking(args: &ExtractArgs) -> Result<Vec<EyesRequest>, CliError> {
    let several = args.encoder.len() + args.ensemble.len() > 1;
    if several && (args.weights.is_some() || args.layer.is_some() || args.resolution.is_some()) {
        let what = "--weights, --layer and --resolution are of one encoder; give several rows of a --registry file instead";
        return Err(CliError::Usage(what.into()));
    }
    let encoder = |id: &String| {
        let (weights, layers) = (args.weights.clone(), args.layer.map(|layer| vec![layer]));
        let resolution = args.resolution;
        EyesRequest::Encoder(EncoderRequest {
            weights,
            layers,
            resolution,
            ..EncoderRequest::new(id.as_str())
        })
    };
    let ensemble = |id: &String| {
        EyesRequest::Ensemble(EnsembleRequest {
            id: id.clone(),
            weights: args.weights.clone(),
            features_only: args.keep != KeepArg::Maps,
        })
    };
    Ok(args.encoder.iter().map(encoder).chain(args.ensemble.iter().map(ensemble)).collect())
}

fn request(args: &ExtractArgs, context: &Context<'_>) -> Result<Request, CliError> {
    let mut sources = args.sources.clone();
    for path in &args.files_from {
        let names = list(path).map_err(|error| CliError::Failed(error.to_string()))?;
        sources.extend(names.iter().map(|name| path_text(name).into_owned()));
    }
    let columns = Columns { picture: args.image.clone(), key: args.key.clone(), kept: args.columns.clone() };
    Ok(Request {
        reach: Reach { rows: args.rows.get() },
        columns,
        keep: match args.keep {
            KeepArg::Mean => Keep::Mean,
            KeepArg::Cls => Keep::Cls,
            KeepArg::Embedding => Keep::Embedding,
            KeepArg::Maps => Keep::Maps,
        },
        unit: args.unit,
        format: args.format.into(),
        element: args.element.into(),
        batch: args.batch.get(),
        threads: threads::allowed(context.global.threads).get(),
        decode: args.pixels.orientation.decode_options(),
        share: args.share(),
        existing: if args.overwrite.overwrite { Existing::Replace } else { Existing::Continue },
        patience: args.patience,
        ..Request::new(sources, args.out.as_str())
    })
}

fn told(error: Error) -> CliError {
    match error {
        Error::Host(error) => CliError::Host(error),
        other => CliError::Failed(other.to_string()),
    }
}

/// The one line of a run.
struct Told<'c, 'x> {
    context: &'c Context<'x>,
    progress: RefCell<Option<Progress>>,
    failures: Cell<u64>,
}

impl<'c, 'x> Told<'c, 'x> {
    fn new(context: &'c Context<'x>) -> Self {
        Self { context, progress: RefCell::new(None), failures: Cell::new(0) }
    }

    fn finish(&self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }

    fn say(&self, line: &str) {
        match &*self.progress.borrow() {
            Some(progress) => progress.suspend(|| self.context.note(line)),
            None => self.context.note(line),
        }
    }
}

impl Watch for Told<'_, '_> {
    fn planned(&self, plan: &Plan, done: usize) {
        for passed in &plan.passed {
            self.context.note(&format!(
                "passed over {}: {}",
                counted(passed.paths.len(), "file"),
                passed.reason
            ));
        }
        let before = if done > 0 { format!(", {done} done before") } else { String::new() };
        self.context.note(&format!("{}{before}", counted(plan.shards.len(), "shard")));
    }

    fn begun(&self, shard: &Shard, pictures: usize) {
        self.finish();
        *self.progress.borrow_mut() = Some(self.context.progress(&shard.name, pictures as u64));
    }

    fn pictures(&self, count: u64) {
        if let Some(progress) = &*self.progress.borrow() {
            progress.advance(count);
        }
    }

    fn failed(&self, failure: &Failure) {
        self.failures.set(self.failures.get() + 1);
        match self.failures.get() {
            ..=SHOWN => self.say(&format!("a row without numbers: {failure}")),
            n if n == SHOWN + 1 => self.say("more of them are told in the column `error` only"),
            _ => {}
        }
    }

    fn lost(&self, shard: &Shard, error: &Error) {
        self.say(&format!("{}: {error}", shard.name));
    }

    fn waiting(&self, left: usize) {
        self.finish();
        self.context.note(&format!("{} being made by others; waiting for them", counted(left, "shard")));
    }
}

fn report(args: &ExtractArgs, done: &Done) -> Result<Report, CliError> {
    let mut text = format!(
        "{}: {} made, {} done before or by others; {} written, {} of them with an error\n",
        args.out,
        counted(done.made, "shard"),
        done.before,
        counted(done.rows, "row"),
        done.failures,
    );
    if done.rows > 0 {
        text.push_str(&format!(
            "{:.1} images/s; the encoders computed for {:.0} % of the time\n",
            done.rate,
            100.0 * done.busy
        ));
    }
    for (name, error) in &done.lost {
        text.push_str(&format!("not made: {name}: {error}\n"));
    }
    let lost: Vec<_> =
        done.lost.iter().map(|(name, error)| json!({ "shard": name, "error": error.to_string() })).collect();
    let json = json!({
        "out": args.out, "shards": done.shards, "made": done.made, "before": done.before, "lost": lost, "rows": done.rows,
        "failures": done.failures, "images_per_second": done.rate, "busy": done.busy, "stopped": done.stopped,
    });
    if done.stopped {
        let message = format!("{text}stopped before its end; the same command goes on");
        return Err(CliError::Ended { message, json, code: interrupt::STOPPED });
    }
    Ok(Report { failed: !done.lost.is_empty(), ..Report::new(text, json) })
}

/// A time in the unit in which people say it.
fn long(hours: f64) -> String {
    match hours {
        h if h < 1.0 / 60.0 => format!("{:.0} s", h * 3600.0),
        h if h < 1.0 => format!("{:.0} min", h * 60.0),
        h if h < 72.0 => format!("{h:.1} h"),
        h => format!("{:.0} days", h / 24.0),
    }
}

fn costs(bill: &Bill) -> Report {
    let about = if bill.estimated { "about " } else { "" };
    let text = format!(
        "{}, {about}{}: {} to read, {about}{} of numbers to write\n\
         {:.2} images/s here, measured on {}: {about}{} on one machine like this\n",
        counted(bill.shards, "shard"),
        counted(bill.pictures, "image"),
        table::bytes(bill.bytes_in),
        table::bytes(bill.bytes_out),
        bill.rate,
        counted(bill.measured, "image"),
        long(bill.hours()),
    );
    let json = json!({
        "shards": bill.shards, "images": bill.pictures, "estimated": bill.estimated, "bytes_in": bill.bytes_in,
        "bytes_out": bill.bytes_out, "images_per_second": bill.rate, "measured": bill.measured,
        "failures": bill.failures, "hours": bill.hours(),
    });
    Report::new(text, json)
}
