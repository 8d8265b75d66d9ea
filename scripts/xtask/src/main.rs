//! Chores of this repository, in Rust so that they run wherever cargo does: `cargo xtask demo | stage | ci | dist | parity`.
//!
//! **The one decision.** It depends on nothing of the workspace: it compiles in seconds, and whatever needs the
//! project's own code (making a plugin's manifest) is asked of the program that was just built.

#![forbid(unsafe_code)]

mod build;
mod demo;
mod dist;
mod parity;
mod process;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

/// Errors are sentences for the person at the terminal.
type Result<T> = std::result::Result<T, String>;

const HELP: &str = "\
Chores of the repository.

Usage: cargo xtask COMMAND [CARGO OPTION...]

Commands:
  demo   build the program and the plugins that a first look needs, and let `trilobite-four` look at examples/images
  stage  build the program and all plugins and put the plugins, with manifests, beside the program
  ci     what the continuous integration runs: .ci/run
  dist   an optimised build in target/dist/zoo-VERSION-TARGET, ready to be packed
  parity run the parity tests and write docs/parity.md; with --check, compare the page with what the last run found

CARGO OPTIONs of demo, stage and dist go to cargo build, for example: cargo xtask stage --features cuda";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let (command, options) = match arguments.split_first() {
        None => ("help", arguments),
        Some((command, options)) => (command.as_str(), options),
    };
    match command {
        "demo" => demo::demo(&Workspace::open()?.first(), options),
        "stage" => build::stage(&Workspace::open()?, options).map(drop),
        "ci" if options.is_empty() => process::run(&mut Workspace::open()?.command(".ci/run")),
        "dist" => dist::dist(&Workspace::open()?, options),
        "parity" => match options {
            [] => parity::update(&Workspace::open()?),
            [check] if check == "--check" => parity::check(&Workspace::open()?),
            _ => Err("`parity` takes no options but --check".to_owned()),
        },
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        "ci" => Err("`ci` takes no options".to_owned()),
        other => Err(format!("there is no command `{other}`\n\n{HELP}")),
    }
}
