//! `zoo completions`

use clap::CommandFactory;
use serde_json::json;

use crate::args::{Cli, CompletionsArgs};
use zoo_terminal::{CliError, Report};

pub(super) fn run(args: &CompletionsArgs) -> Result<Report, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "zoo", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let json = json!({ "shell": args.shell.to_string(), "script": script });
    Ok(Report::new(script, json))
}
