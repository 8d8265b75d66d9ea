//! The program, as a process.

use std::process::ExitCode;

fn main() -> ExitCode {
    zoo_terminal::process::<zoo_serve::args::Cli>()
}
