//! Several numbers of threads. A pool of threads is as large as it was made, and every plugin has its own; so each
//! number is measured by processes of their own, through the command line and the document that everybody can use.

use std::ffi::OsString;
use std::io::Read;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde_json::Value;

use super::Measured;
use super::cell::Cell;
use crate::args::{BenchArgs, Global};
use zoo_terminal::{CliError, Context, counted};

/// Measures each number of `--threads` twice with half of the rounds, the second time in the opposite order: what
/// changes slowly on the machine falls on all alike.
pub(super) fn measure(args: &BenchArgs, context: &Context<'_>) -> Result<Measured, CliError> {
    let half = args.rounds.get().div_ceil(2);
    let mut all = Measured::default();
    for threads in args.threads.iter().chain(args.threads.iter().rev()) {
        context.note(&counted(threads.get(), "thread"));
        all.join(child(&arguments(args, context.global, threads.get(), half))?);
        if all.interrupted {
            break;
        }
    }
    Ok(all)
}

/// Runs this program with other arguments, and reads its document.
fn child(arguments: &[OsString]) -> Result<Measured, CliError> {
    let fault = |what: &str, e: &dyn std::fmt::Display| {
        CliError::Failed(format!("cannot {what} another process of this program: {e}"))
    };
    let program = std::env::current_exe().map_err(|e| fault("start", &e))?;
    let mut process = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| fault("start", &e))?;
    let mut text = String::new();
    if let Some(out) = &mut process.stdout {
        out.read_to_string(&mut text).map_err(|e| fault("read from", &e))?;
    }
    process.wait().map_err(|e| fault("wait for", &e))?;
    let document: Value = serde_json::from_str(&text).map_err(|e| fault("understand", &e))?;
    if let Some(error) = document["error"].as_str() {
        return Err(CliError::Failed(error.to_owned()));
    }
    let read = || -> serde_json::Result<Measured> {
        Ok(Measured {
            machines: serde_json::from_value(document["machines"].clone())?,
            cells: serde_json::from_value(document["cells"].clone())?,
            interrupted: document["interrupted"] == true,
        })
    };
    read().map_err(|e| fault("understand", &e))
}

/// The command line for one number of threads.
fn arguments(args: &BenchArgs, global: &Global, threads: usize, rounds: usize) -> Vec<OsString> {
    let mut line: Vec<OsString> = vec!["bench".into(), "--json".into()];
    let mut push = |name: &str, value: OsString| line.extend([name.into(), value]);
    args.encoder.iter().for_each(|id| push("--encoder", id.into()));
    args.ensemble.iter().for_each(|id| push("--ensemble", id.into()));
    args.batch.iter().for_each(|n| push("--batch", n.to_string().into()));
    let names = args.dtype.iter().filter_map(ValueEnum::to_possible_value);
    names.for_each(|name| push("--dtype", name.get_name().into()));
    args.resolution.iter().for_each(|n| push("--resolution", n.to_string().into()));
    push("--threads", threads.to_string().into());
    push("--rounds", rounds.to_string().into());
    args.weights.iter().for_each(|path| push("--weights", path.into()));
    global.device.iter().for_each(|device| push("--device", device.to_string().into()));
    global.registry.iter().for_each(|path| push("--registry", path.into()));
    global.plugin_dir.iter().for_each(|path| push("--plugin-dir", path.into()));
    let flags =
        [("--random-weights", args.random_weights), ("--offline", global.offline), ("--quiet", global.quiet)];
    line.extend(flags.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).into()));
    line
}

impl Measured {
    /// Adds what another process measured: new configurations, or more rounds of old ones.
    fn join(&mut self, other: Self) {
        for machine in other.machines {
            match self.machines.iter_mut().find(|m| m.threads == machine.threads) {
                Some(known) => known.raise(&machine),
                None => self.machines.push(machine),
            }
        }
        for cell in other.cells {
            match self.cells.iter_mut().find(|known| known.is(&cell)) {
                Some(known) => {
                    known.seconds.extend(&cell.seconds);
                    let parts = known.parts.iter_mut().zip(cell.parts);
                    parts.for_each(|(part, more)| {
                        part.seconds.extend(more.seconds);
                        part.alone.extend(more.alone);
                    });
                }
                None => self.cells.push(cell),
            }
        }
        self.interrupted |= other.interrupted;
    }
}

impl Cell {
    /// Whether `other` is the same configuration.
    fn is(&self, other: &Self) -> bool {
        let key = |c: &Self| (c.id.clone(), c.dtype, c.threads, c.resolution, c.batch);
        key(self) == key(other)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn another_process_is_told_everything_but_the_other_numbers_of_threads() {
        let line = "zoo bench --encoder a,b --batch 1,8 --dtype f32,bf16 --resolution 224,448 --threads 1,2 --rounds 6 \
                    --random-weights --registry r.toml --plugin-dir p --offline --quiet --device auto --csv t.csv";
        let parse = |cli: Cli| match cli.command {
            Command::Bench(args) => (args, cli.global),
            other => panic!("{other:?}"),
        };
        let (args, global) = parse(Cli::parse_from(line.split_whitespace()));
        assert_eq!(args.threads.len(), 2);
        let theirs = arguments(&args, &global, 2, 3);
        let (told, told_global) = parse(Cli::parse_from(std::iter::once("zoo".into()).chain(theirs)));
        assert_eq!((told.threads[0].get(), told.threads.len(), told.rounds.get()), (2, 1, 3));
        let subject =
            |a: &BenchArgs| (a.encoder.clone(), a.batch.clone(), a.dtype.clone(), a.resolution.clone());
        assert_eq!(subject(&told), subject(&args));
        assert!(told.random_weights && told.csv.is_none() && told_global.json);
        let setting = |g: &Global| (g.registry.clone(), g.plugin_dir.clone(), g.offline, g.quiet, g.device);
        assert_eq!(setting(&told_global), setting(&global));
    }

    #[test]
    fn more_rounds_join_those_before() {
        let cell = |threads: usize, seconds: &[f64]| Cell { threads, ..Cell::timed("a", seconds) };
        let mut all = Measured::default();
        for (threads, seconds) in [(1, 1.0), (2, 2.0), (2, 3.0), (1, 4.0)] {
            all.join(Measured { cells: vec![cell(threads, &[seconds])], ..Measured::default() });
        }
        assert_eq!(all.cells, [cell(1, &[1.0, 4.0]), cell(2, &[2.0, 3.0])]);
    }
}
