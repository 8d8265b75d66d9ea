//! `zoo pretrain`

use std::time::Instant;

use serde_json::json;
use zoo_pretrain::{Answered, Begin, Ended, Error, Probe, Recipe, Run, probe};
use zoo_terminal::table::bytes;
use zoo_terminal::{CliError, Context, Report, counted, interrupt};

use super::train::Line;
use crate::args::PretrainArgs;
use crate::told::{plain, trained};

/// Steps that a dry run measures.
const MEASURED: usize = 3;

pub(super) fn run(args: &PretrainArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let recipe = Recipe::open(&args.recipe).map_err(told)?;
    let begin = match (args.dry_run, args.resume) {
        (true, _) => Begin::Nowhere,
        (false, true) => Begin::Resume,
        (false, false) => Begin::Anew,
    };
    let mut run = Run::new(&recipe, begin).map_err(told)?;
    let (parameters, head) = run.parameters().map_err(told)?;
    let (done, steps) = run.progress();
    if args.dry_run {
        let each = run.estimate(MEASURED).map_err(told)?;
        let hours = each * steps as f64 / 3600.0;
        let text = format!(
            "{parameters} parameters ({} in f16), and {head} of a head that is thrown away\n{} of {}, {each:.2} s each: \
             {hours:.2} h in all\n",
            bytes(2 * parameters as u64),
            counted(steps, "step"),
            counted(*recipe.plan.batch.get_ref(), "picture"),
        );
        let json = json!({"parameters": parameters, "head": head, "steps": steps, "seconds_per_step": each, "hours": hours});
        return Ok(Report::new(text, json));
    }
    let out = &recipe.plan.out;
    let mut line = Line::new(context.progress("pretrain", steps as u64));
    line.progress.advance(done as u64);
    let start = Instant::now();
    let ended = run.train(&mut line, interrupt::flag());
    line.progress.finish();
    let seconds = start.elapsed().as_secs_f64();
    let loss = line.last.as_ref().and_then(|step| step.loss);
    if ended.map_err(told)? == Ended::Stopped {
        let (done, _) = run.progress();
        return Err(CliError::Ended {
            message: format!("stopped after step {done} of {steps}; --resume goes on"),
            json: json!({"out": out, "finished": false, "step": done, "steps": steps, "loss": loss}),
            code: interrupt::STOPPED,
        });
    }
    let mut text = format!("trained for {} in {seconds:.0} s", counted(steps, "step"));
    if let Some(loss) = loss {
        text += &format!(", last loss {loss:.4}");
    }
    text.push('\n');
    let mut json = json!({
        "out": out, "finished": true, "step": steps, "steps": steps, "loss": loss, "seconds": seconds,
    });
    if args.probe > 0 {
        let seed = recipe.plan.world.seed;
        let ask = (args.probe / 3).max(1);
        let of = |run: &Run| probe(run.eye(), seed, args.probe, ask).map_err(told);
        let (after, before) = (of(&run)?, of(&Run::new(&recipe, Begin::Nowhere).map_err(told)?)?);
        type Part = fn(&Probe) -> &Answered;
        let asked: [(&str, Part); 2] = [("body", |found| &found.bodies), ("colour", |found| &found.colours)];
        for (what, part) in asked {
            let share = |found: &Probe| 100.0 * part(found).accuracy;
            text += &format!(
                "linear probe on {} about held-out rooms (is this {what} there?): {:.1} %, {:.1} % untrained, {:.1} % by guessing\n",
                counted(part(&after).count, "question"),
                share(&after),
                share(&before),
                100.0 * part(&after).majority
            );
        }
        json["probe"] = json!({"trained": after, "untrained": before});
    }
    text += &format!("{}: model.safetensors and registry.toml, for --registry\n", out.display());
    Ok(Report::new(text, json))
}

fn told(error: Error) -> CliError {
    match error {
        Error::Train(error) => trained(error),
        Error::Recipe(problems) => CliError::Host(zoo_host::HostError::Registry(problems)),
        other => plain(other),
    }
}
