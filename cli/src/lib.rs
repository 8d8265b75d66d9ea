//! The program `zoo`: vision encoders, one or several together, at the command line.
//!
//! **The one decision.** The whole program is a function, [`run`], from arguments and two streams to an exit code;
//! `main` only calls it. A command never prints: it returns what it found, for people and as JSON, and the edge
//! shows one of the two. So `--json` cannot be forgotten by a command, an error is rendered in one place, and tests
//! run the program in their own process.
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
mod context;
mod interrupt;
pub mod log;
mod output;
mod progress;
mod report;
mod terminal;
mod threads;
mod view;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::{Value, json};

use args::Cli;
use context::Context;
use report::CliError;
use zoo_core::path_text;

pub use context::Streams;

/// Runs the program with `arguments` (the first one is its name) and returns its exit code.
pub fn run<I, T>(arguments: I, streams: Streams<'_>) -> u8
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => execute(&cli, streams),
        Err(error) => {
            let json = arguments.iter().any(|a| a == "--json");
            match unreadable(&error, &arguments) {
                Some(error) => fail(&error, json, streams.out, streams.err, streams.terminal),
                None => refuse(&error, json, streams),
            }
        }
    }
}

/// Runs what was parsed.
pub fn execute(cli: &Cli, streams: Streams<'_>) -> u8 {
    let Streams { out, err, terminal } = streams;
    interrupt::tidy();
    match commands::run(&cli.command, &Context::new(&cli.global, &mut *out, &mut *err, terminal)) {
        Ok(report) => {
            let shown = if cli.global.json { document(&report.json) } else { report.text };
            printed(out.write_all(shown.as_bytes()).and_then(|()| out.flush()), u8::from(report.failed), err)
        }
        Err(error) => fail(&error, cli.global.json, out, err, terminal),
    }
}

fn fail(error: &CliError, json: bool, out: &mut dyn Write, err: &mut dyn Write, terminal: bool) -> u8 {
    let code = error.exit_code();
    if json {
        return printed(out.write_all(document(&error.json()).as_bytes()), code, err);
    }
    // A closed standard error changes nothing about the failure.
    let _ = err.write_all(error.text(terminal && terminal::colour()).as_bytes());
    code
}

/// An argument that is not UTF-8 where it has to be, by name; `clap` does not say which one it is.
fn unreadable(error: &clap::Error, arguments: &[OsString]) -> Option<CliError> {
    if error.kind() != ErrorKind::InvalidUtf8 {
        return None;
    }
    let named = arguments.iter().filter(|argument| argument.to_str().is_none());
    let named: Vec<String> = named.map(|argument| format!("`{}`", path_text(argument))).collect();
    Some(CliError::Usage(format!(
        "{}: not UTF-8, in which names of files may be written and nothing else; one of these is no name of a file",
        named.join(", ")
    )))
}

/// Help, version, and command lines that make no sense.
fn refuse(error: &clap::Error, json: bool, streams: Streams<'_>) -> u8 {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked {
        return printed(streams.out.write_all(error.render().to_string().as_bytes()), 0, streams.err);
    }
    if json {
        let text = error.render().to_string();
        let message = text.trim().trim_start_matches("error: ");
        let document = document(&json!({ "error": message, "usage": true }));
        return printed(streams.out.write_all(document.as_bytes()), 2, streams.err);
    }
    let text = error.render();
    let shown =
        if streams.terminal && terminal::colour() { text.ansi().to_string() } else { text.to_string() };
    let _ = streams.err.write_all(shown.as_bytes());
    2
}

fn document(json: &Value) -> String {
    format!("{json:#}\n")
}

/// `code`, unless the result could not be shown. A reader that has seen enough is no failure.
fn printed(result: io::Result<()>, code: u8, err: &mut dyn Write) -> u8 {
    match result {
        Ok(()) => code,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code,
        Err(error) => {
            let _ = writeln!(err, "error: cannot write to standard output: {error}");
            1
        }
    }
}
