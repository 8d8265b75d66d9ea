//! The program `zoo-learn`: what `zoo train`, `zoo data` and the other commands run that learn, judge and prepare data.
//!
//! **The one decision.** It is a program beside `zoo`, not a part of it: tables, archives and the like, which only they
//! read, stay out of what a user builds who looks at images. It has the same options of every command and the same edge
//! (`zoo-terminal`), and calls itself `zoo`, which is what its user typed.
//!
//! ```
//! let (mut out, mut err) = (Vec::new(), Vec::new());
//! let streams = zoo_terminal::Streams { out: &mut out, err: &mut err, terminal: false };
//! assert_eq!(zoo_learn::run(["zoo", "train", "no-such.toml"], streams), 1);
//! assert!(String::from_utf8_lossy(&err).contains("no-such.toml"));
//! ```

#![forbid(unsafe_code)]

pub mod args;
mod commands;
mod told;

use zoo_terminal::args::Global;
use zoo_terminal::{CliError, Context, Program, Report, Streams};

pub use args::Cli;

impl Program for Cli {
    fn global(&self) -> &Global {
        &self.global
    }

    fn command(&self, context: &Context<'_>) -> Result<Report, CliError> {
        commands::run(&self.command, context)
    }
}

/// Runs the program with `arguments` (the first one is its name) and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString>>, streams: Streams<'_>) -> u8 {
    zoo_terminal::run::<Cli>(arguments, streams)
}
