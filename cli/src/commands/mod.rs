//! One module per command, each `args → plan → run`: what cannot be meant is refused before anything is opened,
//! and nothing is printed here. A command returns a [`Report`], which the edge of the program shows.

mod ask;
mod bench;
mod chat;
mod check;
mod classify;
mod completions;
mod doctor;
mod elsewhere;
mod encode;
mod explain;
mod info;
mod list;
mod model;
mod picture;
mod plugins;
mod preprocess;
mod pull;
mod quantize;
mod question;
mod search;
mod session;
mod trace;
mod vectors;
mod view;

use crate::args::Command;
use zoo_terminal::{CliError, Context, Report};

/// Runs a command.
pub fn run(command: &Command, context: &Context<'_>) -> Result<Report, CliError> {
    match command {
        Command::List(args) => list::run(args, context),
        Command::Info(args) => info::run(args, context),
        Command::Check(args) => check::run(args, context),
        Command::Pull(args) => pull::run(args, context),
        Command::Preprocess(args) => preprocess::run(args, context),
        Command::Encode(args) => encode::run(args, context),
        Command::View(args) => view::run(args, context),
        Command::Classify(args) => classify::run(args, context),
        Command::Search(args) => search::search(args, context),
        Command::Similar(args) => search::similar(args, context),
        Command::Ask(args) => ask::run(args, context),
        Command::Chat(args) => chat::run(args, context),
        Command::Explain(args) => explain::run(args, context),
        Command::Trace(args) => trace::run(args, context),
        Command::Bench(args) => bench::run(args, context),
        Command::Quantize(args) => quantize::run(args, context),
        Command::Train(_)
        | Command::Pretrain(_)
        | Command::Data(_)
        | Command::Eval(_)
        | Command::Score(_)
        | Command::Compare(_)
        | Command::CvBench(_)
        | Command::Study(_)
        | Command::Analyse(_) => elsewhere::run("zoo-learn"),
        Command::Extract(_) => elsewhere::run("zoo-extract"),
        Command::Serve(_) => elsewhere::run("zoo-serve"),
        Command::Plugins(args) => plugins::run(args, context),
        Command::Doctor => doctor::run(context),
        Command::Completions(args) => completions::run(args),
    }
}
