//! The log: what libraries and plugins have to say that is neither a result nor the reason why a command gave up.
//!
//! Warnings and errors are shown; `-v` adds what is worth telling, `-vv` what developers want to know and `-vvv` all.
//! `ZOO_LOG` says the same for each target: `info`, or `warn,zoo_host=debug,zoo::plugin=trace`.

use std::fmt::{Debug, Write as _};
use std::io::{IsTerminal, Write as _, stderr};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

/// What all targets of ours begin with.
const OURS: &str = "zoo";

/// Shows the log on standard error from now on. For whoever owns the process; once.
pub fn install(verbose: u8) {
    let (targets, fault) = match std::env::var("ZOO_LOG") {
        Ok(text) if verbose == 0 && !text.trim().is_empty() => match text.parse() {
            Ok(targets) => (targets, None),
            Err(error) => (
                targets(0),
                Some(format!("warning: ZOO_LOG: {error}; write `info` or `warn,zoo_host=debug`")),
            ),
        },
        _ => (targets(verbose), None),
    };
    // Somebody else may own it already, as in tests.
    let _ = tracing::subscriber::set_global_default(registry().with(targets).with(Lines));
    if let Some(fault) = fault {
        let _ = writeln!(stderr(), "{fault}");
    }
}

fn targets(verbose: u8) -> Targets {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Libraries of others talk a lot.
    let others = if verbose < 3 { LevelFilter::WARN } else { level };
    Targets::new().with_default(others).with_target(OURS, level)
}

/// One line for each event.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut out = stderr().lock();
        // A bar that is drawn on this line is drawn again below.
        let over = if out.is_terminal() && std::env::var_os("TERM").is_some_and(|t| t != "dumb") {
            "\r\x1b[2K"
        } else {
            ""
        };
        // A closed standard error is no reason to stop working.
        let _ = writeln!(out, "{over}{}", line(event));
    }
}

fn line(event: &Event<'_>) -> String {
    let mut said = Said::default();
    event.record(&mut said);
    let Said { plugin, message, fields } = said;
    let (level, metadata) = (*event.metadata().level(), event.metadata());
    let word = match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    };
    let who = match plugin {
        Some(plugin) => format!("plugin `{plugin}`: "),
        None if level <= Level::WARN => String::new(),
        None => format!("{}: ", metadata.target()),
    };
    format!("{word}: {who}{message}{fields}")
}

/// The parts of an event.
#[derive(Default)]
struct Said {
    plugin: Option<String>,
    message: String,
    fields: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "plugin" => self.plugin = Some(value.to_owned()),
            "message" => value.clone_into(&mut self.message),
            // Where in the plugin: for developers, who have the message.
            "from" => {}
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps lines.
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(line(event));
        }
    }

    #[track_caller]
    fn check(targets: Targets, expected: &[&str]) {
        let lines = Arc::default();
        let log = registry().with(targets).with(Kept(Arc::clone(&lines)));
        tracing::subscriber::with_default(log, || {
            tracing::warn!(target: "zoo::plugin", plugin = "toy", from = "zoo_toy::llm", "{}", "odd rank=4");
            tracing::info!(target: "zoo_host::load", id = 3, "loaded");
            tracing::info!(target: "hyper", "connected");
            tracing::debug!(target: "zoo::plugin", plugin = "toy", from = "zoo_toy", "step");
            tracing::error!(target: "hyper", "lost");
        });
        assert_eq!(*lines.lock().unwrap(), expected);
    }

    #[test]
    fn who_speaks_and_how_loud_is_heard() {
        let (warning, error) = ("warning: plugin `toy`: odd rank=4", "error: lost");
        let info = "info: zoo_host::load: loaded id=3";
        check(targets(0), &[warning, error]);
        check(targets(1), &[warning, info, error]);
        check(targets(2), &[warning, info, "debug: plugin `toy`: step", error]);
        check("error,zoo_host=info".parse().unwrap(), &[info, error]);
        check("off".parse().unwrap(), &[]);
        assert!("zoo_host=loud".parse::<Targets>().is_err());
    }
}
