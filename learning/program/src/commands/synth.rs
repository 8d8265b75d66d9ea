//! `zoo data synth`

use std::time::Instant;

use serde_json::json;
use zoo_terminal::{CliError, Context, Progress, Report, counted, interrupt};
use zoo_world::draw::Mix;
use zoo_world::write::{self, Begin, Ended, Leaks, Output, Plan, Watch};

use crate::args::SynthArgs;
use crate::told::plain;

pub(super) fn run(args: &SynthArgs, context: &Context<'_>) -> Result<Report, CliError> {
    if args.check {
        let found = write::check(&args.out).map_err(plain)?;
        return Ok(Report::new(shared(&found), json!({"out": args.out, "checked": found})));
    }
    let plan = plan(args);
    let begin = match (args.resume, args.overwrite.overwrite) {
        (true, _) => Begin::Resume,
        (_, true) => Begin::Overwrite,
        _ => Begin::Anew,
    };
    let total = plan.train + plan.val + plan.test;
    let mut line = Line(context.progress("synth", total));
    let start = Instant::now();
    let ended = write::write(&args.out, &plan, begin, &mut line, interrupt::flag());
    line.0.finish();
    let seconds = start.elapsed().as_secs_f64();
    match ended.map_err(plain)? {
        Ended::Finished(found) => {
            let scenes = counted(total as usize, "scene");
            let text = format!("{}: {scenes} in {seconds:.0} s\n{}", args.out.display(), shared(&found));
            let json = json!({"out": args.out, "finished": true, "scenes": total, "seconds": seconds, "checked": found});
            Ok(Report::new(text, json))
        }
        Ended::Stopped(written) => Err(CliError::Ended {
            message: format!("stopped after {written} of {total} scenes; --resume goes on"),
            json: json!({"out": args.out, "finished": false, "scenes": written}),
            code: interrupt::STOPPED,
        }),
    }
}

fn plan(args: &SynthArgs) -> Plan {
    let mut mix = Mix::default();
    if !args.only.is_empty() {
        mix = Mix { room: 0, flat: 0, page: 0, chart: 0 };
        args.only.iter().for_each(|kind| *mix.weight(*kind) = 1);
    }
    // The order in which they were typed is no difference.
    let mut outputs = args.write.clone().unwrap_or_else(|| Output::ALL.to_vec());
    outputs.sort_unstable();
    outputs.dedup();
    Plan {
        seed: args.seed,
        side: args.size,
        train: args.train,
        val: args.val,
        test: args.test,
        mix,
        outputs,
        pack: args.pack,
        format: args.format,
    }
}

fn shared(found: &Leaks) -> String {
    let of = |(split, count): (&String, &u64)| format!("{count} {split}");
    let scenes: Vec<String> = found.scenes.iter().map(of).collect();
    format!(
        "scenes: {}; of {} descriptions and {} parts none is in two splits\n",
        scenes.join(", "),
        found.keys,
        found.parts
    )
}

/// The one line of a run.
struct Line(Progress);

impl Watch for Line {
    fn advance(&mut self, scenes: u64) {
        self.0.advance(scenes);
    }
}
