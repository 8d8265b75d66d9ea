//! The program `zoo`: vision encoders, one or several together, at the command line.
//!
//! **The one decision.** The whole program is a function, [`run`], from arguments and two streams to an exit code; how
//! a result and an error are shown is that of all programs here (`zoo-terminal`). What learns and judges is a program of
//! its own, `zoo-learn`, and what goes through millions of images another, `zoo-extract`, so that who only looks at images
//! builds neither; `zoo train` runs them as `git` runs its parts.
//!
//! ```
//! let (mut out, mut err) = (Vec::new(), Vec::new());
//! let streams = zoo::Streams { out: &mut out, err: &mut err, terminal: false };
//! let code = zoo::run(["zoo", "completions", "bash"], streams);
//! assert_eq!(code, 0);
//! assert!(String::from_utf8_lossy(&out).contains("_zoo"));
//! ```
//!
//! Exit codes: 0, 1 when work failed, 2 when the command line makes no sense.

#![forbid(unsafe_code)]

pub mod args;
mod commands;
mod view;

use std::ffi::OsString;

use zoo_terminal::args::Global;
use zoo_terminal::{CliError, Context, Program, Report, interrupt};

pub use args::Cli;
pub use zoo_terminal::Streams;

impl Program for Cli {
    fn global(&self) -> &Global {
        &self.global
    }

    fn command(&self, context: &Context<'_>) -> Result<Report, CliError> {
        // Whatever computes looks at it between two blocks; it is never set for a command that does not watch.
        interrupt::context().scope(|| commands::run(&self.command, context))
    }
}

/// Runs the program with `arguments` (the first one is its name) and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString>>, streams: Streams<'_>) -> u8 {
    zoo_terminal::run::<Cli>(arguments, streams)
}
