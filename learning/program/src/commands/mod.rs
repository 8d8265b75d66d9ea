//! One module per command, each `args → plan → run`: what cannot be meant is refused before anything is opened, and
//! nothing is printed here. A command returns a [`Report`], which the edge of the program shows.

mod bench;
mod data;
mod endpoint;
mod eval;
mod pretrain;
mod score;
mod study;
mod synth;
mod train;

use zoo_terminal::{CliError, Context, Report};

use crate::args::Command;

/// Runs a command.
pub(crate) fn run(command: &Command, context: &Context<'_>) -> Result<Report, CliError> {
    match command {
        Command::Train(args) => train::run(args, context),
        Command::Pretrain(args) => pretrain::run(args, context),
        Command::Data(args) => data::run(args, context),
        Command::Eval(args) => eval::run(args, context),
        Command::Score(args) => score::score(args, context),
        Command::Compare(args) => score::compare(args, context),
        Command::CvBench(args) => bench::cv_bench(args, context),
        Command::Study(args) => study::run(args, context),
        Command::Analyse(args) => bench::analyse(args, context),
    }
}
