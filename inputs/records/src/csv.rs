//! Comma- and tab-separated values under a heading.

use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::{Error, Form, Result, Value};

/// A reader after its heading, and the names in it.
pub(crate) fn open<R: Read>(path: &Path, form: Form, reader: R) -> Result<(Reader<R>, Vec<String>)> {
    let delimiter = if form == Form::Tsv { b'\t' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(reader);
    let heading = reader.byte_headers().map_err(|error| stop(path, error))?.clone();
    let mut names: Vec<String> = Vec::with_capacity(heading.len());
    for (column, name) in heading.iter().enumerate() {
        let name = name.strip_prefix("\u{feff}".as_bytes()).filter(|_| column == 0).unwrap_or(name);
        let name = std::str::from_utf8(name)
            .map_err(|_| Error::file(path, format!("the heading of column {column} is not UTF-8")))?;
        // Two columns of one name would hide each other; pandas leaves the heading of its index empty.
        if names.iter().any(|n| n == name) {
            return Err(Error::file(path, format!("two columns are called `{name}`")));
        }
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Err(Error::file(path, "the file is empty; a heading is expected"));
    }
    Ok((reader, names))
}

/// What of a file cannot be read at all.
pub(crate) fn stop(path: &Path, error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => Error::io(path, "cannot read the rows")(source),
        other => Error::file(path, format!("{other:?}")),
    }
}

/// The values of one line, or what is wrong with it.
pub(crate) fn fields(names: &[String], record: &ByteRecord) -> Result<Vec<(String, Value)>, String> {
    if record.len() != names.len() {
        return Err(format!(
            "{} values stand under {} headings; is a value with the separator or a line break in it not quoted?",
            record.len(),
            names.len()
        ));
    }
    let value = |(name, value): (&String, &[u8])| {
        let text = std::str::from_utf8(value).map_err(|_| format!("column `{name}` is not UTF-8"))?;
        Ok((name.clone(), if text.is_empty() { Value::Null } else { Value::from(text) }))
    };
    names.iter().zip(record.iter()).map(value).collect()
}
