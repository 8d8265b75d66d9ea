//! `zoo bench`

mod cell;
mod contestant;
mod growth;
mod here;
mod show;
mod sweep;

use std::io::Write as _;

use zoo_core::path_text;
use zoo_measure::Machine;
use zoo_pipeline::write;

use self::cell::Cell;
use crate::args::BenchArgs;
use zoo_terminal::{CliError, Context, Report};

/// What was measured.
#[derive(Debug, Default)]
struct Measured {
    /// This machine, once for each number of threads.
    machines: Vec<Machine>,
    cells: Vec<Cell>,
    /// Whether somebody did not want to wait for the rest.
    interrupted: bool,
}

impl Measured {
    /// The machine with the threads of `cell`.
    fn machine(&self, cell: &Cell) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.threads == cell.threads)
    }
}

pub(super) fn run(args: &BenchArgs, context: &Context<'_>) -> Result<Report, CliError> {
    check(args)?;
    let measured =
        if args.threads.len() > 1 { sweep::measure(args, context)? } else { here::measure(args, context)? };
    let mut text = show::text(&measured);
    if let Some(path) = &args.csv {
        write::file(path, args.overwrite.replace(), |file| file.write_all(show::csv(&measured).as_bytes()))?;
        text.push_str(&format!("{}: the table\n", path_text(path)));
    }
    if let Some(path) = &args.plot {
        let svg = growth::chart(&measured)?.svg().map_err(|e| CliError::Failed(format!("--plot: {e}")))?;
        write::file(path, args.overwrite.replace(), |file| file.write_all(svg.as_bytes()))?;
        text.push_str(&format!("{}: the chart\n", path_text(path)));
    }
    Ok(Report::new(text, show::json(&measured)))
}

/// Refuses what cannot be meant, before anything is opened.
fn check(args: &BenchArgs) -> Result<(), CliError> {
    if args.weights.is_some() && args.encoder.len() + args.ensemble.len() > 1 {
        return Err(CliError::Usage(
            "--weights are those of one encoder or ensemble; measure one at a time".into(),
        ));
    }
    for (path, option, extension) in [(&args.csv, "--csv", "csv"), (&args.plot, "--plot", "svg")] {
        if let Some(path) = path.as_ref().filter(|p| p.extension().is_none_or(|e| e != extension)) {
            return Err(CliError::Usage(format!(
                "{option} {}: give a name in .{extension}",
                path_text(path)
            )));
        }
    }
    for path in args.csv.iter().chain(&args.plot) {
        write::free(path, args.overwrite.replace())?;
    }
    let varied = [args.batch.len(), args.resolution.len(), args.threads.len()].iter().any(|&count| count > 1);
    if args.plot.is_some() && !varied && args.ensemble.is_empty() {
        return Err(CliError::Usage(growth::NOTHING.into()));
    }
    Ok(())
}
