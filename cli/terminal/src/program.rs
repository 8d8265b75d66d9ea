//! From arguments and streams to an exit code.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::{Value, json};
use zoo_core::path_text;

use crate::args::Global;
use crate::context::{Context, Streams};
use crate::report::{CliError, Report};
use crate::{capability, interrupt};

/// A command line that can be run.
pub trait Program: Parser {
    /// The options of every command.
    fn global(&self) -> &Global;

    /// Does what was asked for.
    ///
    /// # Errors
    /// Why it gave up; shown once, by whoever called.
    fn command(&self, context: &Context<'_>) -> Result<Report, CliError>;
}

/// Runs the program with `arguments` (the first one is its name) and returns its exit code.
pub fn run<P: Program>(arguments: impl IntoIterator<Item = impl Into<OsString>>, streams: Streams<'_>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    match P::try_parse_from(&arguments) {
        Ok(program) => execute(&program, streams),
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
pub fn execute(program: &impl Program, streams: Streams<'_>) -> u8 {
    let Streams { out, err, terminal } = streams;
    interrupt::tidy();
    let global = program.global();
    match program.command(&Context::new(global, &mut *out, &mut *err, terminal)) {
        Ok(report) => {
            let shown = if global.json { document(&report.json) } else { report.text };
            printed(out.write_all(shown.as_bytes()).and_then(|()| out.flush()), u8::from(report.failed), err)
        }
        Err(error) => fail(&error, global.json, out, err, terminal),
    }
}

fn fail(error: &CliError, json: bool, out: &mut dyn Write, err: &mut dyn Write, terminal: bool) -> u8 {
    let code = error.exit_code();
    if json {
        return printed(out.write_all(document(&error.json()).as_bytes()), code, err);
    }
    // A closed standard error changes nothing about the failure.
    let _ = err.write_all(error.text(terminal && capability::colour()).as_bytes());
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
        if streams.terminal && capability::colour() { text.ansi().to_string() } else { text.to_string() };
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
