//! What is recorded of the images in a file, one entry per row.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zoo_preprocess::Note;

use crate::Metadata;
use crate::look::resize_mode;
use crate::read::Item;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Which input it came from.
    pub input: usize,
    /// Which row of it, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
    /// Its name.
    pub name: String,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// What was lost or decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Whether it was decoded at a reduced size.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reduced: bool,
}

impl From<&Item> for Entry {
    fn from(item: &Item) -> Self {
        Self {
            input: item.input,
            row: item.row,
            name: item.name.clone(),
            size: item.size,
            notes: item.notes.iter().map(ToString::to_string).collect(),
            reduced: item.notes.iter().any(|note| matches!(note, Note::Reduced(_))),
        }
    }
}

/// What is the same however many rows there are.
pub(super) fn summary(entries: &[Entry]) -> Metadata {
    let mut out = Metadata::new();
    out.insert("resize".into(), resize_mode(entries.iter().any(|entry| entry.reduced)));
    out
}

/// What grows with the rows: `inputs`, `image_sizes`, and `notes` by name where there are any.
pub(super) fn lists(entries: &[Entry]) -> Metadata {
    let mut out = Metadata::new();
    out.insert("inputs".into(), entries.iter().map(|entry| entry.name.as_str()).collect());
    out.insert("image_sizes".into(), entries.iter().map(|entry| json!(entry.size)).collect());
    let noted = entries.iter().filter(|entry| !entry.notes.is_empty());
    let notes: Metadata = noted.map(|entry| (entry.name.clone(), json!(entry.notes))).collect();
    if !notes.is_empty() {
        out.insert("notes".into(), Value::Object(notes));
    }
    out
}
