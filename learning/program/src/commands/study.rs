//! `zoo study`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use zoo_core::Precision;
use zoo_host::HostError;
use zoo_study::{Bill, Ended, Error, Part, Stage, Study, Verdict, Watch};
use zoo_terminal::table::Table;
use zoo_terminal::{CliError, Context, Progress, Report, counted, interrupt};
use zoo_train::{PLUGINS, Step};

use super::train::{line, stated};
use crate::args::StudyArgs;
use crate::told::{plain, trained};

pub(super) fn run(args: &StudyArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let study = Study::open(&args.study).map_err(told)?;
    if args.dry_run {
        return Ok(bill(&study));
    }
    if !args.report_only {
        let part = match &args.shard {
            Some(text) => Part::parse(text).map_err(CliError::Usage)?,
            None => Part::WHOLE,
        };
        let open = |precision: Precision, registries: &[PathBuf]| -> Result<_, HostError> {
            let zoo = context.studying(precision, registries).map_err(|error| match error {
                CliError::Host(error) => error,
                other => HostError::Mismatch(other.to_string()),
            })?;
            Ok(zoo.with_linked(PLUGINS))
        };
        let mut bars = Bars { context, bar: None };
        let ended = zoo_study::go(&study, part, &open, &mut bars, interrupt::flag());
        bars.finish();
        if ended.map_err(told)? == Ended::Stopped {
            let message = "stopped; the same command goes on".to_owned();
            return Err(CliError::Ended {
                message,
                json: json!({"out": study.out(), "finished": false}),
                code: interrupt::STOPPED,
            });
        }
    }
    let report = zoo_study::report(&study).map_err(told)?;
    let (runs, judged) = report.runs;
    if judged == 0 {
        let message =
            format!("{}: no run is judged yet, so there is nothing to report", study.out().display());
        return Err(CliError::Failed(message));
    }
    let out = study.out();
    for (name, text) in
        [("report.html", report.html()), ("report.md", report.markdown()), ("report.csv", report.csv())]
    {
        zoo_train::replace(&out.join(name), text.as_bytes()).map_err(trained)?;
    }
    let mut text = format!("{judged} of {} judged\n", counted(runs, "run"));
    for finding in &report.findings {
        let found = finding.difference.map_or_else(|| "no runs".to_owned(), |found| found.text());
        let _ = writeln!(text, "{}: {} — {found} points", finding.verdict.words(), finding.says);
    }
    let _ = writeln!(text, "{}: report.html, report.md, report.csv", out.display());
    let count = |verdict| report.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let json = json!({
        "out": out, "finished": true, "runs": runs, "judged": judged, "findings": report.findings,
        "holds": count(Verdict::Holds), "does_not": count(Verdict::DoesNot),
    });
    Ok(Report::new(text, json))
}

fn bill(study: &Study) -> Report {
    let bill = zoo_study::bill(study);
    let mut table = Table::new(&["stage", ">stages", ">done", ">steps to do", ">hours to do"]);
    for line in &bill.lines {
        let hours = line.hours.map_or_else(
            || "not known".to_owned(),
            |hours| format!("{hours:.2}{}", if line.measured { "" } else { " (as stated)" }),
        );
        table.row([
            line.kind.word().to_owned(),
            line.stages.to_string(),
            line.done.to_string(),
            line.steps.to_string(),
            hours,
        ]);
    }
    let stages: usize = bill.lines.iter().map(|line| line.stages).sum();
    let mut text = table.render(0);
    let Bill { runs, unshared, missing, .. } = &bill;
    let _ = writeln!(
        text,
        "{} of {}, which would be {unshared} if runs shared none; {} of training to do",
        counted(*runs, "run"),
        counted(stages, "stage"),
        counted(bill.steps(), "step")
    );
    match bill.hours() {
        Some(hours) => {
            let _ = writeln!(text, "{hours:.2} hours to do on one machine");
        }
        None => {
            text += "hours: not known before a stage of each kind is done here, or `seconds_per_step` is stated\n";
        }
    }
    if !missing.is_empty() {
        let _ = writeln!(text, "not here: {}", missing.join(", "));
    }
    let mut json = json!(bill);
    json["stages"] = stages.into();
    json["hours"] = json!(bill.hours());
    Report::new(text, json)
}

/// One bar for each stage.
struct Bars<'a, 'c> {
    context: &'a Context<'c>,
    bar: Option<Progress>,
}

impl Bars<'_, '_> {
    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }
}

impl zoo_train::Watch for Bars<'_, '_> {
    fn step(&mut self, step: &Step) {
        if let Some(bar) = &self.bar {
            bar.advance(1);
            bar.message(&line(step));
        }
    }

    fn saved(&mut self, step: usize, out: &Path) {
        if let Some(bar) = &self.bar {
            bar.message(&stated(step, out));
        }
    }
}

impl Watch for Bars<'_, '_> {
    fn begins(&mut self, stage: &Stage, number: usize, total: usize, steps: usize) {
        self.finish();
        self.context.note(&format!("{number} of {total}: {}, {}", stage.kind.word(), stage.label));
        if steps > 0 {
            self.bar = Some(self.context.progress(stage.kind.word(), steps as u64));
        }
    }

    fn waits(&mut self, stage: &Stage) {
        self.context.note(&format!("another process is at {} ({}); waiting for it", stage.name, stage.label));
    }

    fn advances(&mut self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.advance(count);
        }
    }

    fn ends(&mut self, _: &Stage) {
        self.finish();
    }
}

fn told(error: Error) -> CliError {
    match error {
        Error::Plan(problems) => CliError::Host(HostError::Registry(problems)),
        Error::Host(error) => CliError::Host(error),
        other => plain(other),
    }
}
