//! One row, with typed access to its values.

use std::path::Path;
use std::sync::Arc;

use crate::picture::of_column;
use crate::{Error, Picture, Place, Result, Spot, Value};

/// The name under which [`Row::get`] has the key of a row of a tar shard or a folder.
const KEY: &str = "__key__";

/// One row: named values in their order, and where they stand.
///
/// The methods that return a plain value fail where the column is missing, null or of another type; those that begin
/// with `maybe` return nothing where it is missing or null. Messages name file, row and column.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    place: Place,
    root: Arc<Path>,
    fields: Vec<(String, Value)>,
    key: Option<Value>,
}

impl Row {
    /// A row of one's own. Pictures that are paths count from `root`.
    pub fn new(place: Place, root: impl Into<Arc<Path>>, fields: Vec<(String, Value)>) -> Self {
        let key = match &place.spot {
            Spot::Key(key) => Some(Value::from(&**key)),
            _ => None,
        };
        Self { place, root: root.into(), fields, key }
    }

    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// All values.
    pub fn fields(&self) -> &[(String, Value)] {
        &self.fields
    }

    /// All values, for who changes them.
    pub fn fields_mut(&mut self) -> &mut Vec<(String, Value)> {
        &mut self.fields
    }

    /// The value of a column, where there is one. Rows of tar shards and folders have their stem as `__key__`.
    pub fn get(&self, column: &str) -> Option<&Value> {
        let found = self.fields.iter().find(|(name, _)| name == column).map(|(_, value)| value);
        found.or(self.key.as_ref().filter(|_| column == KEY))
    }

    /// Puts a value in place of that of `column`, or behind all others.
    pub fn set(&mut self, column: &str, value: Value) {
        match self.fields.iter_mut().find(|(name, _)| name == column) {
            Some((_, old)) => *old = value,
            None => self.fields.push((column.to_owned(), value)),
        }
    }

    /// The value of a column.
    ///
    /// # Errors
    /// There is no such column in this row; its columns, and one of a like name, are told.
    pub fn value(&self, column: &str) -> Result<&Value> {
        self.get(column).ok_or_else(|| {
            let names = self.fields.iter().map(|(name, _)| name.as_str());
            Error::row(&self.place, no_column(column, names))
        })
    }

    /// Text; a number or boolean as it is written in JSON.
    ///
    /// # Errors
    /// [`Error::Row`], as for all of these.
    pub fn text(&self, column: &str) -> Result<String> {
        let value = self.value(column)?;
        scalar(value).ok_or_else(|| self.other(column, "text", value))
    }

    /// As [`Row::text`].
    ///
    /// # Errors
    /// The value is no text.
    pub fn maybe_text(&self, column: &str) -> Result<Option<String>> {
        self.maybe(column).map(|_| self.text(column)).transpose()
    }

    /// A number; text is read as one.
    ///
    /// # Errors
    /// [`Error::Row`].
    pub fn number(&self, column: &str) -> Result<f64> {
        let value = self.value(column)?;
        match value {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
        .ok_or_else(|| self.other(column, "a number", value))
    }

    /// A whole number; text and numbers such as `3.0` are read as one.
    ///
    /// # Errors
    /// [`Error::Row`].
    pub fn integer(&self, column: &str) -> Result<i64> {
        let value = self.value(column)?;
        let whole = |f: f64| (f.fract() == 0.0 && f.abs() < 9e15).then_some(f as i64);
        match value {
            Value::Int(i) => i64::try_from(*i).ok(),
            Value::Float(f) => whole(*f),
            Value::Text(text) => {
                let text = text.trim();
                text.parse().ok().or_else(|| text.parse().ok().and_then(whole))
            }
            _ => None,
        }
        .ok_or_else(|| self.other(column, "a whole number", value))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// [`Error::Row`].
    pub fn flag(&self, column: &str) -> Result<bool> {
        let value = self.value(column)?;
        match value {
            Value::Bool(b) => Some(*b),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
        .ok_or_else(|| self.other(column, "true or false", value))
    }

    /// A list; text that is a JSON list is read as one.
    ///
    /// # Errors
    /// [`Error::Row`].
    pub fn list(&self, column: &str) -> Result<Vec<Value>> {
        let value = self.value(column)?;
        match value {
            Value::List(list) => Some(list.clone()),
            Value::Text(text) => match Value::parse(text.as_bytes()) {
                Ok(Value::List(list)) => Some(list),
                _ => None,
            },
            _ => None,
        }
        .ok_or_else(|| self.other(column, "a list", value))
    }

    /// A list of texts; numbers and booleans are read as text.
    ///
    /// # Errors
    /// [`Error::Row`].
    pub fn texts(&self, column: &str) -> Result<Vec<String>> {
        let list = self.list(column)?;
        let text = |value: &Value| scalar(value).ok_or_else(|| self.other(column, "a list of texts", value));
        list.iter().map(text).collect()
    }

    /// A picture: bytes, base64, a data URL, a path below the folder of images, or `{bytes, path}`.
    ///
    /// # Errors
    /// [`Error::Row`]; a path that leaves the folder of images is one. Whether a file is there is seen by
    /// [`Picture::read`].
    pub fn picture(&self, column: &str) -> Result<Picture> {
        of_column(&self.place, column, self.value(column)?, &self.root)
    }

    /// As [`Row::picture`].
    ///
    /// # Errors
    /// The value is no picture.
    pub fn maybe_picture(&self, column: &str) -> Result<Option<Picture>> {
        self.maybe(column).map(|value| of_column(&self.place, column, value, &self.root)).transpose()
    }

    /// The row as a JSON object; what JSON does not have is written as [`Value::to_json`] does.
    pub fn json(&self) -> String {
        serde_json::Value::Object(crate::value::object(&self.fields)).to_string()
    }

    /// An error about one column of this row.
    pub fn wrong(&self, column: &str, message: impl std::fmt::Display) -> Error {
        Error::row(&self.place, format!("column `{column}`: {message}"))
    }

    fn maybe(&self, column: &str) -> Option<&Value> {
        self.get(column).filter(|value| **value != Value::Null)
    }

    fn other(&self, column: &str, expected: &str, value: &Value) -> Error {
        self.wrong(column, format_args!("{expected} is expected, and this is {}", value.kind()))
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some(value.to_json().to_string()),
        _ => None,
    }
}

/// What to say of a column that is not there.
pub(crate) fn no_column<'a>(column: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let like = |name: &&&str| strsim::jaro_winkler(&name.to_lowercase(), &column.to_lowercase()) > 0.85;
    let near = names.iter().find(like).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    format!("there is no column `{column}` among {}{near}", listed(&names))
}

fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let mut out = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => out.push_str("none"),
        n if n > SHOWN => out.push_str(&format!(" and {} more", n - SHOWN)),
        _ => {}
    }
    out
}
