//! What is known of a run that is not finished, in a folder beside its output: how it was begun, and what became of
//! each input, a line each.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use zoo_core::path_text;

use super::super::listing::Entry;
use super::super::{Existing, Setting, WriteError};
use crate::Metadata;
use crate::find::Input;
use crate::read::Position;

/// How a run was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// Of this format.
    version: u32,
    identity: Metadata,
    /// Of the names of all inputs in their order.
    inputs: String,
    /// Whether the file is to take the place of one that is there.
    pub replace: bool,
}

impl Begun {
    pub fn of(setting: &Setting, inputs: &[Input], existing: Existing) -> Self {
        let replace = existing == Existing::Replace;
        Self { version: 1, identity: setting.identity().clone(), inputs: digest(inputs), replace }
    }

    /// Why the run that began so cannot be continued with these inputs in this setting, if it cannot.
    pub fn differs(&self, setting: &Setting, inputs: &[Input]) -> Option<String> {
        let keys = setting.differs(&self.identity);
        if !keys.is_empty() {
            return Some(format!("it was begun with other settings ({})", keys.join(", ")));
        }
        (self.inputs != digest(inputs)).then(|| "it was begun with other inputs".to_owned())
    }
}

/// sha256 of the names, a zero byte after each: names hold none.
pub(super) fn digest(inputs: &[Input]) -> String {
    let mut hasher = Sha256::new();
    for input in inputs {
        hasher.update(path_text(&input.path).as_bytes());
        hasher.update([0]);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the rows are, known once the first were computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shape {
    /// Name and shape of a row of each tensor.
    pub tensors: Vec<(String, Vec<usize>)>,
    /// What is recorded about how they were computed.
    pub record: Metadata,
}

/// What became of an input, or of a row of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// It failed.
    Failed {
        input: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        row: Option<usize>,
        name: String,
        failed: String,
    },
    /// It was kept.
    Kept(Entry),
}

impl Line {
    /// The first row that comes after it.
    pub fn next(&self) -> Position {
        let (Self::Failed { input, row, .. } | Self::Kept(Entry { input, row, .. })) = self;
        match row {
            Some(row) => Position { input: *input, row: row + 1 },
            None => Position { input: input + 1, row: 0 },
        }
    }

    pub fn text(&self) -> Result<String, WriteError> {
        Ok(format!("{}\n", json(self, Path::new(""))?))
    }
}

/// The lines of a journal, each with its length in bytes. A last one that was cut off in writing is none.
pub(super) fn lines(text: &[u8]) -> Vec<(Line, u64)> {
    let lines = text.split_inclusive(|&byte| byte == b'\n').take_while(|line| line.ends_with(b"\n"));
    lines.map_while(|line| Some((serde_json::from_slice(line).ok()?, line.len() as u64))).collect()
}

/// A file of the folder, if it is there and is what it should be.
pub(super) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

pub(super) fn json<T: Serialize>(value: &T, path: &Path) -> Result<Value, WriteError> {
    serde_json::to_value(value).map_err(|error| WriteError::io(path, std::io::Error::other(error)))
}
