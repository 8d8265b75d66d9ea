//! From one form to another, with pictures inside or outside.

use std::path::{Path, PathBuf};

use serde::Serialize;
use zoo_records::{Row, Table, Value, write_whole};

use crate::job::Job;
use crate::output::{Output, Target};
use crate::picture::name;
use crate::{Error, Result};

/// Where pictures are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pictures {
    /// Where they are.
    Stay,
    /// In the rows, read from their files; of these columns.
    Inside(Vec<String>),
    /// In this folder, named by their content; rows have their paths.
    Outside(PathBuf),
}

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct Converted {
    /// Rows, those of shards that were there or are others' among them.
    pub rows: u64,
    /// Pictures that were taken in or put out.
    pub pictures: u64,
}

/// Writes the rows of `table` in the form of `target`. Every value comes back when they are converted again.
///
/// # Errors
/// Rows and pictures that cannot be read; the file that is written. Nothing is left of it, pictures stay.
pub fn convert(table: &Table, pictures: &Pictures, target: &Target, job: &mut Job<'_>) -> Result<Converted> {
    let mut out = Output::create(target, &crate::output::job("convert", pictures, &[table])?)?;
    if let Pictures::Outside(folder) = pictures {
        std::fs::create_dir_all(folder).map_err(Error::io(folder, "cannot make the folder"))?;
    }
    let raw = Output::takes_json(target) && *pictures == Pictures::Stay;
    let mut converted = Converted { rows: 0, pictures: 0 };
    // Whether any row has each of the columns that are taken in, and whether every row was looked at.
    let (mut named, mut everything) = (vec![false; columns_of(pictures).len()], true);
    let read = |row: zoo_records::Unread| -> Result<_> {
        if raw && let Some(text) = row.json() {
            // Checked, and then written as it stands: no number changes its digits.
            serde_json::from_slice::<serde::de::IgnoredAny>(text)
                .map(drop)
                .or_else(|_| row.clone().parse().map(drop))?;
            return Ok(Ready::Text(text.to_vec()));
        }
        let mut row = row.parse()?;
        let moved = match pictures {
            Pictures::Stay => 0,
            Pictures::Inside(columns) => take_in(&mut row, columns)?,
            Pictures::Outside(folder) => {
                let mut moved = 0;
                let fields = std::mem::take(row.fields_mut());
                for (name, value) in fields {
                    let value = put_out(value, folder, &mut moved)?;
                    row.fields_mut().push((name, value));
                }
                moved
            }
        };
        Ok(Ready::Row(Box::new(row), moved))
    };
    job.each_wanted(table, out.missing(), read, |row| {
        converted.rows += 1;
        match row.transpose()? {
            None => {
                everything = false;
                out.pass()
            }
            Some(Ready::Text(text)) => out.write_json(&text),
            Some(Ready::Row(row, moved)) => {
                converted.pictures += moved;
                for (named, column) in named.iter_mut().zip(columns_of(pictures)) {
                    *named |= row.get(column).is_some();
                }
                out.write(&row)
            }
        }
    })?;
    let unknown = columns_of(pictures).iter().zip(&named).find(|(_, named)| !**named);
    if let Some((column, _)) = unknown.filter(|_| everything && converted.rows > 0) {
        let path = table.files().next().unwrap_or(Path::new(""));
        return Err(Error::data(path, format!("no row has a column `{column}` to take pictures from")));
    }
    out.finish()?;
    Ok(converted)
}

fn columns_of(pictures: &Pictures) -> &[String] {
    match pictures {
        Pictures::Inside(columns) => columns,
        Pictures::Stay | Pictures::Outside(_) => &[],
    }
}

enum Ready {
    Text(Vec<u8>),
    Row(Box<Row>, u64),
}

fn take_in(row: &mut Row, columns: &[String]) -> Result<u64> {
    let mut moved = 0;
    for column in columns {
        let absent = matches!(row.get(column), Some(Value::Text(text)) if !crate::record::is_image(text));
        if !absent && let Some(picture) = row.maybe_picture(column)? {
            row.set(column, Value::Bytes(picture.read()?));
            moved += 1;
        }
    }
    Ok(moved)
}

/// The value with paths in place of bytes; a struct of bytes and path becomes a path, too.
fn put_out(value: Value, folder: &Path, moved: &mut u64) -> Result<Value> {
    Ok(match value {
        Value::Bytes(bytes) => {
            *moved += 1;
            Value::Text(keep(&bytes, folder)?)
        }
        Value::Map(fields) => {
            if let [(a, Value::Bytes(bytes)), (b, _)] = fields.as_slice()
                && (a.as_str(), b.as_str()) == ("bytes", "path")
            {
                *moved += 1;
                return Ok(Value::Text(keep(bytes, folder)?));
            }
            let field = |(name, value)| Ok((name, put_out(value, folder, moved)?));
            Value::Map(fields.into_iter().map(field).collect::<Result<_>>()?)
        }
        Value::List(list) => {
            Value::List(list.into_iter().map(|value| put_out(value, folder, moved)).collect::<Result<_>>()?)
        }
        other => other,
    })
}

/// Writes a picture under the name of its content, once; the name.
fn keep(bytes: &[u8], folder: &Path) -> Result<String> {
    let name = name(bytes);
    let path = folder.join(&name);
    if !path.exists() {
        write_whole(&path, bytes).map_err(Error::io(&path, "cannot write"))?;
    }
    Ok(name)
}
