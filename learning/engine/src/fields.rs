//! The list of fields.

use std::path::Path;

use crate::{Error, Result};

/// A field and its subfields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Parts of it.
    pub subfields: Vec<String>,
}

/// Reads `Field: subfield, subfield` lines. Empty lines and those that begin with `#` are skipped.
///
/// # Errors
/// A line that is none of these, with its number; a name that stands twice; no field at all.
pub fn fields(path: &Path) -> Result<Vec<Field>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path, "cannot read the fields"))?;
    let mut out: Vec<Field> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |message: String| Error::file(path, format!("line {}: {message}", number + 1));
        let (name, rest) = line
            .split_once(':')
            .ok_or_else(|| wrong("`Field: subfield, subfield` is expected".to_owned()))?;
        let subfields: Vec<String> =
            rest.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect();
        let name = name.trim().to_owned();
        if name.is_empty() || subfields.is_empty() {
            return Err(wrong("a field has a name and at least one subfield".to_owned()));
        }
        if out.iter().any(|field| field.name == name) {
            return Err(wrong(format!("`{name}` stands twice")));
        }
        out.push(Field { name, subfields });
    }
    match out.is_empty() {
        true => Err(Error::file(path, "there is no field; each is a line `Field: subfield, subfield`")),
        false => Ok(out),
    }
}
