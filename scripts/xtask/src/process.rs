//! Running other programs, with errors that name them.

use std::process::{Command, Stdio};

use crate::Result;

/// Runs to the end; a status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|e| cannot_start(command, &e))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed: {status}", shown(command))) }
}

/// [`run`] that returns what was written to stdout; stderr goes to the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let child = command.stdout(Stdio::piped()).spawn().map_err(|e| cannot_start(command, &e))?;
    let output = child.wait_with_output().map_err(|e| cannot_start(command, &e))?;
    if !output.status.success() {
        return Err(format!("`{}` failed: {}", shown(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{}` wrote bytes that are no text", shown(command)))
}

/// The command line as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot run `{}`: {error}", shown(command))
}
