//! The edge at which Zoo's programs meet a person or a script: options that every command has, streams, progress, the
//! log, signals, and how a result or an error is shown.
//!
//! **The one decision.** A program is a [`Program`]: a command line that knows its global options and turns them into a
//! [`Report`]. [`run`] is the whole of it, a function from arguments and two streams to an exit code, and `main` only
//! calls [`process`]. A command never prints: it returns what it found, for people and as JSON, and [`run`] shows one of
//! the two. So `--json` cannot be forgotten by a command, an error is rendered in one place, and tests run a program in
//! their own process.
//!
//! ```
//! use clap::Parser;
//! use zoo_terminal::{CliError, Context, Program, Report, Streams, args::Global};
//!
//! /// Says hello.
//! #[derive(Parser)]
//! #[command(name = "hello")]
//! struct Hello {
//!     #[command(flatten)]
//!     global: Global,
//!     whom: String,
//! }
//!
//! impl Program for Hello {
//!     fn global(&self) -> &Global {
//!         &self.global
//!     }
//!
//!     fn command(&self, _: &Context<'_>) -> Result<Report, CliError> {
//!         Ok(Report::new(format!("hello, {}\n", self.whom), serde_json::json!({ "greeted": self.whom })))
//!     }
//! }
//!
//! let (mut out, mut err) = (Vec::new(), Vec::new());
//! let streams = Streams { out: &mut out, err: &mut err, terminal: false };
//! assert_eq!(zoo_terminal::run::<Hello>(["hello", "you"], streams), 0);
//! assert_eq!(out, b"hello, you\n");
//! ```
//!
//! Exit codes: 0, 1 when work failed, 2 when the command line makes no sense, 130 when a signal ended it.

pub mod args;
mod capability;
mod context;
pub mod interrupt;
pub mod log;
mod model;
mod phases;
mod process;
mod program;
mod progress;
mod report;
pub mod table;
pub mod threads;

pub use context::{Context, SET_ASIDE, Streams};
pub use model::open_model;
pub use phases::ModelPhases;
pub use process::process;
pub use program::{Program, execute, run};
pub use progress::{Downloads, Progress};
pub use report::{CliError, Report, counted, placed};
