//! A program as a process.

use std::io::{IsTerminal, stderr, stdout};
use std::process::ExitCode;

use crate::context::Streams;
use crate::log;
use crate::program::{Program, run};

/// What `main` does: sets the number of threads, shows the log, connects the streams, and runs the program.
pub fn process<P: Program>() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Ok(program) = P::try_parse_from(&arguments) {
        if let Some(threads) = program.global().threads {
            limit_threads(threads.get());
        }
        log::install(program.global().verbose);
    }
    let (mut out, mut err) = (stdout().lock(), stderr());
    let terminal = err.is_terminal();
    ExitCode::from(run::<P>(arguments, Streams { out: &mut out, err: &mut err, terminal }))
}

/// Tells every thread pool of the process how large to be. The pools of a program and of each plugin are separate
/// copies, and the environment is what all of them read.
fn limit_threads(threads: usize) {
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: this is the first thing that a program does, so there is no other thread that could read the
        // environment at the same time.
        unsafe { std::env::set_var(variable, threads.to_string()) };
    }
}
