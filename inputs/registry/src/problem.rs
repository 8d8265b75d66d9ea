//! What is wrong with a registry file, and where.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::rows::Kind;

/// A text with the name under which messages mention it.
#[derive(Debug)]
pub(crate) struct RegistryText {
    pub name: String,
    pub text: Arc<str>,
    /// Its place among the layers, from 0: later ones lie over earlier ones.
    pub layer: usize,
    /// Whether a plugin brought it.
    pub guest: bool,
}

impl RegistryText {
    /// The line and column of a range of bytes.
    pub fn place(&self, span: Range<usize>) -> Location {
        let floor = |mut i: usize| {
            i = i.min(self.text.len());
            while !self.text.is_char_boundary(i) {
                i -= 1;
            }
            i
        };
        let start = floor(span.start);
        let end = floor(span.end).max(start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Location {
            file: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            span: start..end,
            text: self.text.clone(),
        }
    }

    /// A problem at a range of bytes.
    pub fn problem(&self, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> Problem {
        Problem { message: message.into(), help, place: self.place(span), row: None }
    }
}

/// A range of characters in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Bytes of `text`, on character boundaries.
    pub span: Range<usize>,
    /// The whole file.
    pub text: Arc<str>,
}

impl Location {
    /// The line in which the range starts, without its end.
    pub fn source_line(&self) -> &str {
        self.text.lines().nth(self.line - 1).unwrap_or("")
    }
}

/// One thing that is wrong.
///
/// [`Display`](fmt::Display) draws it with the line of the file and a caret:
///
/// ```text
/// registry.toml:14:1: unknown key `chanels`
///    |
/// 14 | chanels = 1024
///    | ^^^^^^^
///    = help: did you mean `channels`?
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
    /// Where.
    pub place: Location,
    /// The row in which it stands: kind and id, where it stands in one whose id can be read.
    pub row: Option<(Kind, String)>,
}

impl Problem {
    /// The same in one line: `file:line: the encoder `x`: what is wrong (what to do)`.
    pub fn line(&self) -> String {
        let row = match &self.row {
            Some((kind, id)) => format!("the {kind} `{id}`"),
            None => "what the plugin brings".into(),
        };
        let Location { file, line, .. } = &self.place;
        let help = self.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
        format!("{file}:{line}: {row}: {}{help}", self.message)
    }

    /// A problem at a range of bytes of `text`, a file of another kind that messages call `name`; see
    /// [`crate::strict`].
    pub fn at(
        name: &str,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Self {
        let source = RegistryText { name: name.to_owned(), text: text.into(), layer: 0, guest: false };
        source.problem(span, message, help)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { file, line, column, span, .. } = &self.place;
        let source = self.place.source_line();
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands under its character whatever their width.
        let indent: String =
            source.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let rest = source.chars().count().saturating_sub(column - 1);
        let marked = self.place.text[span.clone()].chars().count().min(rest).max(1);
        writeln!(f, "{file}:{line}:{column}: {}", self.message)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {source}")?;
        write!(f, "{margin} | {indent}{}", "^".repeat(marked))?;
        match &self.help {
            Some(help) => write!(f, "\n{margin} = help: {help}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with the registry files, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
pub struct RegistryError {
    /// In the order of files and lines; never empty.
    pub problems: Vec<Problem>,
}
