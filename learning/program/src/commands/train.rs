//! `zoo train`

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;
use zoo_train::{Begin, Ended, Estimate, PLUGINS, Recipe, Run, Step, StepCost, Watch, several};

use crate::args::TrainArgs;
use crate::told::trained;
use zoo_terminal::table::{Table, bytes};
use zoo_terminal::{CliError, Context, Progress, Report, counted, interrupt};

/// Steps that a dry run measures, with and without recomputation.
const MEASURED: usize = 3;

pub(super) fn run(args: &TrainArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let recipe = Recipe::open(&args.recipe).map_err(trained)?;
    let begin = match (args.dry_run, args.resume, args.overwrite.overwrite) {
        (true, ..) => Begin::Nowhere,
        (_, true, _) => Begin::Resume,
        (_, _, true) => Begin::Overwrite,
        _ => Begin::Anew,
    };
    let zoo = context.measuring(recipe.plan.precision, None)?.with_linked(PLUGINS);
    if let Some(place) = several().map_err(trained)?.filter(|_| begin != Begin::Nowhere) {
        context.note(&place);
    }
    let mut run = Run::new(&zoo, &recipe, begin).map_err(trained)?;
    let (rank, processes) = run.place();
    if rank > 0 {
        return share(run, rank, processes);
    }
    if processes > 1 {
        context.note(&format!("{processes} processes share the batches of each step; this is the first"));
    }
    for flaw in run.data().flaws().iter().take(3) {
        context.note(&format!("left out: {flaw}"));
    }
    let flaws = run.data().flaws().len();
    if flaws > 0 {
        context.note(&format!("{} left out in all; `zoo data check` lists them", counted(flaws, "record")));
    }
    if args.dry_run {
        return Ok(estimate(&run.estimate(MEASURED).map_err(trained)?));
    }
    let (done, steps) = run.progress();
    let mut line = Line::new(context.progress("train", steps as u64));
    line.progress.advance(done as u64);
    let ended = run.train(&mut line, interrupt::flag());
    line.progress.finish();
    let ended = ended.map_err(trained)?;
    let (done, steps) = run.progress();
    let (samples, skipped) = run.samples();
    let out = &recipe.plan.out;
    let how = match ended {
        Ended::Finished => format!("trained for {}", counted(done, "step")),
        Ended::Stopped => format!("stopped after step {done} of {steps}; --resume goes on"),
    };
    let loss = line.last.as_ref().and_then(|step| step.loss);
    let last = loss.map_or_else(String::new, |loss| format!(", last loss {loss:.4}"));
    let text = format!(
        "{how}: {}{last}; {skipped} not usable\n{}: a model folder for `zoo ask --model`, with log.jsonl, curves.svg, \
         tensorboard and checkpoints\n",
        counted(samples as usize, "sample"),
        out.display()
    );
    let json = json!({
        "out": out, "finished": ended == Ended::Finished, "step": done, "steps": steps, "samples": samples,
        "skipped": skipped, "loss": loss,
    });
    match ended {
        Ended::Finished => Ok(Report::new(text, json)),
        Ended::Stopped => {
            Err(CliError::Ended { message: text.trim_end().to_owned(), json, code: interrupt::STOPPED })
        }
    }
}

/// What a process does that is not the first of several: the first one shows how far they are, and writes.
fn share(mut run: Run, rank: usize, processes: usize) -> Result<Report, CliError> {
    let ended = run.train(&mut (), interrupt::flag()).map_err(trained)?;
    let (done, steps) = run.progress();
    let text = format!("process {rank} of {processes}: did its share of {done} of {steps} steps\n");
    let json = json!({
        "process": rank, "processes": processes, "finished": ended == Ended::Finished, "step": done, "steps": steps,
    });
    match ended {
        Ended::Finished => Ok(Report::new(text, json)),
        Ended::Stopped => {
            Err(CliError::Ended { message: text.trim_end().to_owned(), json, code: interrupt::STOPPED })
        }
    }
}

/// The one line of a run.
pub(super) struct Line {
    pub progress: Progress,
    pub last: Option<Step>,
}

impl Line {
    pub fn new(progress: Progress) -> Self {
        Self { progress, last: None }
    }
}

impl Watch for Line {
    fn step(&mut self, step: &Step) {
        self.progress.advance(1);
        self.progress.message(&line(step));
        self.last = Some(step.clone());
    }

    fn saved(&mut self, step: usize, out: &Path) {
        self.progress.message(&stated(step, out));
    }
}

/// In the unit that says something.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// A step in words.
pub(super) fn line(step: &Step) -> String {
    let per_second = |count: usize| count as f64 / step.seconds.max(1e-9);
    let mut text = match step.loss {
        Some(loss) => format!("loss {loss:.4}"),
        None => "no loss".to_owned(),
    };
    for (group, rate) in &step.rates {
        let _ = write!(text, ", {group} {rate:.1e}");
    }
    let (tokens, samples) = (per_second(step.tokens), per_second(step.samples));
    let _ = write!(text, ", {tokens:.0} tokens/s, {samples:.1} samples/s");
    if let Some(held) = zoo_measure::memory::resident() {
        let _ = write!(text, ", {}", bytes(held));
    }
    text
}

/// That a checkpoint was written.
pub(super) fn stated(step: usize, out: &Path) -> String {
    format!("step {step} saved in {}", out.display())
}

fn estimate(found: &Estimate) -> Report {
    let mut table = Table::new(&["group", ">rate", ">tensors", ">parameters"]);
    for (name, rate, tensors, parameters) in &found.groups {
        table.row([name.clone(), format!("{rate:.1e}"), tensors.to_string(), parameters.to_string()]);
    }
    let seconds = found.seconds_per_step * found.steps as f64;
    let mut text = table.render(0);
    let losses: Vec<String> = found.losses.iter().map(|loss| format!("{loss:.3}")).collect();
    let _ = write!(
        text,
        "not trained: {} parameters of connector and language model\n\
         shapes: [1, T, {}], T up to {} in the batches that were measured; {} of an image; no sequence beyond {}\n\
         {} to learn from, {} of about {:.0} tokens and {:.2} s: {:.0} tokens, {} in all\n\
         memory: {} of weights, {} of trained values with gradients and moments\n\
         losses: {}\n",
        found.frozen,
        found.width,
        found.longest_batch,
        counted(found.image_tokens, "token"),
        found.max_length,
        counted(found.records, "record"),
        counted(found.steps, "step"),
        found.tokens_per_step,
        found.seconds_per_step,
        found.tokens_per_step * found.steps as f64,
        duration(seconds),
        bytes(found.weight_bytes),
        bytes(found.optimiser_bytes),
        losses.join(", "),
    );
    if found.feature_bytes > 0 {
        let each = bytes(found.feature_bytes);
        let _ = writeln!(text, "features: {each} for each image, should the recipe keep them (`features`)");
    }
    let cost = |cost: &StepCost| {
        let held = cost.peak_bytes.map_or_else(String::new, |peak| format!("{} at most, ", bytes(peak)));
        format!("{held}{:.2} s a step", cost.seconds)
    };
    let with = if found.recompute { "with" } else { "it would be with" };
    let without = if found.recompute { "it would be without" } else { "without" };
    let kept = found.kept.as_ref().map_or_else(|| "not measured, as it may not fit".to_owned(), &cost);
    let _ = writeln!(
        text,
        "all of the process, {with} `recompute = true`: {}\nall of the process, {without}: {kept}",
        cost(&found.recomputed)
    );
    if let (Some(less), Some(more)) =
        (found.recomputed.peak_bytes, found.kept.as_ref().and_then(|kept| kept.peak_bytes))
    {
        let _ = match more.saturating_sub(less) {
            0 => writeln!(text, "recomputing saves nothing that shows"),
            saved => writeln!(text, "recomputing saves {}", bytes(saved)),
        };
    }
    let mut json = json!(found);
    json["seconds"] = seconds.into();
    json["peak_bytes"] = match &found.kept {
        Some(kept) if !found.recompute => json!(kept.peak_bytes),
        _ => json!(found.recomputed.peak_bytes),
    };
    Report::new(text, json)
}
