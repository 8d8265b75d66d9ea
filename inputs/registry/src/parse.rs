//! From text to rows. What the rows say of each other is checked later.

use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use crate::names::suggestion;
use crate::problem::{Problem, RegistryError, RegistryText};
use crate::rows::{Kind, Row};
use crate::spans::Node;
use crate::table::Rows;

/// The version of the format that this crate reads.
const VERSION: u32 = 1;

/// The key of a plugin's manifest under which its rows stand.
const GUESTS: &str = "registry";

/// One registry file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its name in messages: usually its path.
    pub name: String,
    /// Its text.
    pub text: String,
    guest: bool,
}

impl Layer {
    /// A file that was read already.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), guest: false }
    }

    /// A plugin's manifest, which was read already: its rows stand one level down, under `registry`. Whoever uses the
    /// program did not write them, so a row that is wrong is set aside ([`crate::Registry::set_aside`]) and the others
    /// are used.
    pub fn manifest(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { guest: true, ..Self::new(name, text) }
    }

    /// Whether wrong rows are set aside.
    pub(crate) fn is_guest(&self) -> bool {
        self.guest
    }

    /// The registry that is compiled into the program.
    pub fn shipped() -> Self {
        Self::new("registry.toml", include_str!("../../../registry.toml"))
    }
}

/// A row and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Entry<T> {
    pub row: T,
    pub source: Arc<RegistryText>,
    pub spans: Node,
}

impl<T: Row> Entry<T> {
    /// A problem at a dotted path of this row, such as `members.0.tokens`.
    pub fn problem(&self, path: &str, message: impl Into<String>, help: Option<String>) -> Problem {
        let row = Some((T::KIND, self.row.id().to_owned()));
        Problem { row, ..self.source.problem(self.spans.at(path), message, help) }
    }
}

/// Reads a TOML file of another kind as strictly as a registry, with the same messages. `T` should deny unknown
/// fields; `name` is what messages call the file.
///
/// # Errors
/// [`RegistryError`] with the lines that are wrong.
pub fn strict<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, RegistryError> {
    let source = RegistryText { name: name.to_owned(), text: text.into(), layer: 0, guest: false };
    toml::from_str(text).map_err(|error| RegistryError { problems: vec![explain(&source, &error, 0..0)] })
}

/// What could be read of a file.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub rows: Rows,
    /// What is wrong with other rows or tables.
    pub problems: Vec<Problem>,
    /// Why nothing in it can be relied on: it is of another version.
    pub unreadable: Option<Problem>,
}

/// Reads one file, the `index`th layer; the rows that could be read, and what is wrong with the others.
pub(crate) fn parse(layer: &Layer, index: usize) -> Parsed {
    let (name, text) = (layer.name.clone(), layer.text.as_str().into());
    let source = Arc::new(RegistryText { name, text, layer: index, guest: layer.guest });
    let (document, errors) = DeTable::parse_recoverable(&layer.text);
    if !errors.is_empty() {
        let problems = errors.iter().map(|e| explain(&source, e, 0..0)).collect();
        return Parsed { rows: Rows::default(), problems, unreadable: None };
    }
    let mut reader = Reader { source, rows: Rows::default(), problems: Vec::new(), unreadable: None };
    if layer.guest {
        reader.manifest(document.into_inner());
    } else {
        reader.document(document.into_inner());
    }
    let Reader { rows, problems, unreadable, .. } = reader;
    Parsed { rows, problems, unreadable }
}

struct Reader {
    source: Arc<RegistryText>,
    rows: Rows,
    problems: Vec<Problem>,
    unreadable: Option<Problem>,
}

impl Reader {
    /// The rows of a manifest; what else stands there is not for this crate.
    fn manifest(&mut self, document: DeTable<'_>) {
        let Some((_, value)) = document.into_iter().find(|(key, _)| key.get_ref() == GUESTS) else { return };
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => self.document(table),
            _ => self.problems.push(self.source.problem(span, format!("`{GUESTS}` is a table"), None)),
        }
    }

    fn document(&mut self, document: DeTable<'_>) {
        let mut version = None;
        for (key, value) in document {
            let kind = Kind::ALL.into_iter().find(|kind| kind.table() == key.get_ref().as_ref());
            match kind {
                Some(Kind::Encoder) => self.rows.encoders = self.table(value),
                Some(Kind::Connector) => self.rows.connectors = self.table(value),
                Some(Kind::Ensemble) => self.rows.ensembles = self.table(value),
                Some(Kind::Llm) => self.rows.llms = self.table(value),
                Some(Kind::Model) => self.rows.models = self.table(value),
                Some(Kind::Decoder) => self.rows.decoders = self.table(value),
                Some(Kind::Projector) => self.rows.projectors = self.table(value),
                None if key.get_ref() == "version" => version = Some(value),
                None => {
                    let known = ["version"].into_iter().chain(Kind::ALL.map(Kind::table));
                    let help = suggestion(key.get_ref(), "the tables of a registry", known);
                    let message = format!("unknown key `{}`", key.get_ref());
                    self.problems.push(self.source.problem(key.span(), message, help));
                }
            }
        }
        self.unreadable = self.version(version);
        self.problems.sort_by_key(|p| p.place.span.start);
    }

    /// What is wrong with the version.
    fn version(&self, value: Option<Spanned<DeValue<'_>>>) -> Option<Problem> {
        let help = Some(format!("write `version = {VERSION}` at the top"));
        let Some(value) = value else {
            return Some(self.source.problem(0..0, "the file does not say its version", help));
        };
        let span = value.span();
        match u32::deserialize(toml::de::ValueDeserializer::from(value)) {
            Ok(VERSION) => None,
            Ok(other) => {
                let message = format!("this file has version {other}; this program reads version {VERSION}");
                Some(self.source.problem(span, message, None))
            }
            Err(_) => Some(self.source.problem(span, "the version is a whole number", help)),
        }
    }

    /// The rows of one `[[…]]` table.
    fn table<T: Row + DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>) -> Vec<Entry<T>> {
        let name = T::KIND.table();
        let span = value.span();
        let DeValue::Array(list) = value.into_inner() else {
            let help = Some(format!("write `[[{name}]]` above each row"));
            self.problems.push(self.source.problem(span, format!("`{name}` is a list of tables"), help));
            return Vec::new();
        };
        let mut entries = Vec::with_capacity(list.len());
        for item in list {
            let spans = Node::of(&item);
            let id = match item.get_ref() {
                DeValue::Table(table) => {
                    table.get("id").and_then(|id| id.get_ref().as_str()).map(str::to_owned)
                }
                _ => None,
            };
            match T::deserialize(toml::de::ValueDeserializer::from(item)) {
                Ok(row) => entries.push(Entry { row, source: self.source.clone(), spans }),
                Err(error) => {
                    let row = id.map(|id| (T::KIND, id));
                    self.problems.push(Problem { row, ..explain(&self.source, &error, spans.span) });
                }
            }
        }
        entries
    }
}

/// serde's words in those of a person who edits a file.
fn explain(source: &RegistryText, error: &toml::de::Error, default: Range<usize>) -> Problem {
    let span = error.span().unwrap_or(default);
    let (message, help) = words(error.message());
    source.problem(span, message, help)
}

/// The same of its message alone: what is wrong, and what to do.
pub(crate) fn words(message: &str) -> (String, Option<String>) {
    // serde quotes every name: first the wrong one, then the right ones.
    let mut quoted = message.split('`').skip(1).step_by(2);
    let name = quoted.next().unwrap_or("");
    let known: Vec<&str> = quoted.collect();
    if message.starts_with("unknown field") {
        (format!("unknown key `{name}`"), suggestion(name, "the keys here", known))
    } else if message.starts_with("unknown variant") {
        (format!("unknown value `{name}`"), suggestion(name, "the values here", known))
    } else if message.starts_with("missing field") {
        (format!("the key `{name}` is missing here"), None)
    } else {
        (plain(message), None)
    }
}

/// Type names of Rust in words.
fn plain(message: &str) -> String {
    let head = message.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
    match &message[head.len()..] {
        "usize" | "u64" | "u32" | "u8" => format!("{head}a whole number that is not negative"),
        "i64" | "i32" => format!("{head}a whole number"),
        "f32" | "f64" => format!("{head}a number"),
        _ => message.to_owned(),
    }
}
