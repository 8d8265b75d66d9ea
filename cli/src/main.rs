//! The program: sets the number of threads, shows the log, connects the streams, and hands over to the library.

use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use zoo::Streams;
use zoo::args::Cli;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Ok(cli) = Cli::try_parse_from(&arguments) {
        if let Some(threads) = cli.global.threads {
            limit_threads(threads.get());
        }
        zoo::log::install(cli.global.verbose);
    }
    let (mut out, mut err) = (stdout().lock(), stderr());
    let terminal = err.is_terminal();
    ExitCode::from(zoo::run(arguments, Streams { out: &mut out, err: &mut err, terminal }))
}

/// Tells every thread pool of the process how large to be. The pools of this program and of each plugin are
/// separate copies, and the environment is what all of them read.
fn limit_threads(threads: usize) {
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: this is the first thing that the program does, so there is no other thread that could read the
        // environment at the same time.
        unsafe { std::env::set_var(variable, threads.to_string()) };
    }
}
