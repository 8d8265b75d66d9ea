//! What a command hands to the edge of the program, where it is printed once: a result, or why there is none.

use std::fmt::Write as _;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource};
use serde_json::{Value, json};
use zoo_core::path_text;
use zoo_host::HostError;
use zoo_pipeline::WriteError;
use zoo_registry::{Problem, RegistryError};

use crate::interrupt::STOPPED;

/// What a command found out or did.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub text: String,
    /// For programs; an object.
    pub json: Value,
    /// Whether part of the work failed: exit code 1.
    pub failed: bool,
}

impl Report {
    /// Everything went well.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, failed: false }
    }
}

/// A problem of a registry file, for programs.
pub fn placed(problem: &Problem) -> Value {
    let place = &problem.place;
    json!({
        "message": problem.message,
        "help": problem.help,
        "file": place.file,
        "line": place.line,
        "column": place.column,
    })
}

/// `1 turn`, `2 turns`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Why a command gave up.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The host refused or failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Something could not be kept.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Work that ended before its end, with more to say to programs than the message.
    #[error("{message}")]
    Ended {
        /// For people.
        message: String,
        /// For programs; an object.
        json: Value,
        /// The exit code.
        code: u8,
    },
    /// Anything else; the message is complete.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    /// [`CliError::Failed`] about a file.
    pub fn file(path: &std::path::Path, what: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{}: {what}", path_text(path)))
    }

    /// 1 when work failed, 2 when the command line is to blame, 130 when a signal ended it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Ended { code, .. } => *code,
            Self::Host(error) if error.is_cancelled() => STOPPED,
            _ => 1,
        }
    }

    /// `{"error": "…"}`; a registry that is wrong adds `problems` with their places.
    pub fn json(&self) -> Value {
        let mut out = json!({ "error": self.to_string() });
        if let (Self::Ended { json: Value::Object(more), .. }, Some(out)) = (self, out.as_object_mut()) {
            out.extend(more.clone());
        }
        if let Some(registry) = self.registry() {
            out["problems"] = registry.problems.iter().map(placed).collect();
        }
        out
    }

    /// For people. Problems of registry files are shown in their place.
    pub fn text(&self, colour: bool) -> String {
        match self.registry() {
            None => format!("error: {self}\n"),
            Some(registry) => registry.problems.iter().map(|p| show(p, colour)).collect(),
        }
    }

    fn registry(&self) -> Option<&RegistryError> {
        match self {
            Self::Host(HostError::Registry(error)) => Some(error),
            _ => None,
        }
    }
}

/// A problem with the lines of the file around it.
fn show(problem: &Problem, colour: bool) -> String {
    let place = &problem.place;
    let mut diagnostic =
        MietteDiagnostic::new(&problem.message).with_label(LabeledSpan::underline(place.span.clone()));
    if let Some(help) = &problem.help {
        diagnostic = diagnostic.with_help(help);
    }
    let source = NamedSource::new(&place.file, place.text.to_string());
    let report = miette::Report::new(diagnostic).with_source_code(source);
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut out = String::new();
    match GraphicalReportHandler::new_themed(theme).with_links(false).render_report(&mut out, report.as_ref())
    {
        Ok(()) => out,
        Err(_) => {
            let _ = writeln!(out, "{problem}");
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zoo_registry::{Layer, Registry};

    fn broken() -> CliError {
        let layer = Layer::new("mine.toml", "version = 1\n\n[[encoder]]\nidd = \"x\"\n");
        CliError::Host(HostError::Registry(Registry::load(&[layer]).unwrap_err()))
    }

    #[test]
    fn registry_problems_are_shown_in_their_place() {
        let text = broken().text(false);
        assert!(text.contains("mine.toml:4:") && text.contains("idd"), "{text}");
        assert!(!text.contains('\u{1b}'), "no colour was asked for: {text:?}");
    }

    #[test]
    fn registry_problems_keep_their_place_in_json() {
        let json = broken().json();
        assert_eq!(json["problems"][0]["line"], 4);
        assert_eq!(json["problems"][0]["file"], "mine.toml");
        assert!(json["error"].as_str().unwrap().contains("idd"));
    }

    #[test]
    fn exit_codes() {
        assert_eq!(CliError::Usage(String::new()).exit_code(), 2);
        assert_eq!(CliError::Failed(String::new()).exit_code(), 1);
        assert_eq!(broken().exit_code(), 1);
        assert_eq!(CliError::Host(HostError::Core(zoo_core::Error::Cancelled)).exit_code(), 130);
    }
}
