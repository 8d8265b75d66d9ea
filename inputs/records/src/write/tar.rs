//! Tar shards in WebDataset's way: a JSON file for each row, and a file for every value that is bytes.

use std::fs::File;
use std::io::{BufWriter, Write};

use serde_json::{Map, Value as Json};
use tar::{Builder, Header};

use crate::picture::extension;
use crate::tar::split;
use crate::value::BYTES;
use crate::{Row, Spot, Value};

pub(super) struct Shard {
    builder: Builder<BufWriter<File>>,
}

impl Shard {
    pub fn new(file: BufWriter<File>) -> Self {
        Self { builder: Builder::new(file) }
    }

    /// Appends a row. Its key is the one that it had, or its number.
    pub fn write(&mut self, number: u64, row: &Row) -> std::io::Result<()> {
        let key = match &row.place().spot {
            // A key that would be cut elsewhere when it is read would join rows.
            Spot::Key(key) if split(&format!("{key}.x")).is_some_and(|(stem, _)| stem == &**key) => {
                key.to_string()
            }
            _ => format!("{number:09}"),
        };
        let mut files = Vec::new();
        let mut fields = Map::new();
        for (name, value) in row.fields() {
            fields.insert(name.clone(), without_bytes(value, name, &mut files));
        }
        self.append(&format!("{key}.json"), Json::Object(fields).to_string().as_bytes())?;
        files.iter().try_for_each(|(name, bytes)| self.append(&format!("{key}.{name}"), bytes))
    }

    pub fn finish(self) -> std::io::Result<()> {
        self.builder.into_inner()?.flush()
    }

    /// Without owner and time: the same rows are the same bytes.
    fn append(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.builder.append_data(&mut header, name, bytes)
    }
}

/// The value with `{"$bytes": ".name"}` in place of bytes, which go to `files`.
fn without_bytes<'a>(value: &'a Value, name: &str, files: &mut Vec<(String, &'a [u8])>) -> Json {
    match value {
        Value::Bytes(bytes) => {
            // A dot or a slash would be read as part of the stem or of the extension.
            let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
            let name: String = name.chars().map(plain).collect();
            let extension = extension(bytes);
            let mut file = format!("{name}.{extension}");
            let mut again = 2;
            while files.iter().any(|(other, _)| *other == file) {
                file = format!("{name}-{again}.{extension}");
                again += 1;
            }
            files.push((file.clone(), bytes));
            Json::Object(Map::from_iter([(BYTES.to_owned(), Json::String(format!(".{file}")))]))
        }
        Value::List(list) => {
            Json::Array(list.iter().map(|value| without_bytes(value, name, files)).collect())
        }
        Value::Map(fields) => {
            let field = |(key, value): &'a (String, Value)| {
                (key.clone(), without_bytes(value, &format!("{name}-{key}"), &mut *files))
            };
            Json::Object(fields.iter().map(field).collect())
        }
        other => other.to_json(),
    }
}
