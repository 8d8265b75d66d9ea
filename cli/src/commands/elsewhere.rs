//! Commands that another program knows, run as `git` runs its parts: the same arguments, the same streams, its exit code.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

#[cfg(not(unix))]
use serde_json::json;
use zoo_core::path_text;
use zoo_terminal::{CliError, Report};

/// Hands this process's command line to `program`, which stands beside this one. Where the system can, it takes the place
/// of this process.
pub(super) fn run(program: &str) -> Result<Report, CliError> {
    run_as(program, std::env::args_os().skip(1))
}

/// The same with another command line.
pub(super) fn run_as(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Report, CliError> {
    let path = find(program)?;
    let mut command = Command::new(&path);
    command.args(arguments);
    let failed = |error: std::io::Error| CliError::file(&path, format_args!("cannot be run: {error}"));
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        Err(failed(command.exec()))
    }
    #[cfg(not(unix))]
    {
        // Signals reach both; the other one decides what they mean.
        zoo_terminal::interrupt::flag();
        let code =
            command.status().map_err(failed)?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        match code {
            0 => Ok(Report::new("", json!({}))),
            code => Err(CliError::Ended { message: String::new(), json: json!({}), code }),
        }
    }
}

fn find(program: &str) -> Result<PathBuf, CliError> {
    let here =
        std::env::current_exe().map_err(|e| CliError::Failed(format!("where is this program? {e}")))?;
    let path = here.with_file_name(OsString::from(format!("{program}{}", std::env::consts::EXE_SUFFIX)));
    if path.is_file() {
        return Ok(path);
    }
    Err(CliError::Failed(format!(
        "this command is part of the program `{program}`, which is not there ({}); build it with `cargo build --release -p \
         {program}`, or install it beside this one",
        path_text(&path)
    )))
}
