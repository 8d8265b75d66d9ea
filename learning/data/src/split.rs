//! One data set as several that share nothing.

use std::path::{Path, PathBuf};

use serde::Serialize;
use zoo_records::{Table, Value};

use crate::job::{Job, rank};
use crate::output::{Output, Target};
use crate::{Error, Result};

/// One of the parts.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Its file.
    pub target: Target,
    /// Its share, in any unit.
    pub share: f64,
}

/// What became of the pieces.
#[derive(Debug, Clone, Serialize)]
pub struct SplitUp {
    /// File and records of each.
    pub pieces: Vec<(PathBuf, u64)>,
}

/// Gives every record to one of `pieces`. The value of `by` decides (`image`, if nobody says otherwise, so that no image
/// is in two pieces; records without one go by their text), with `seed` and nothing else: records that are added later
/// move none of the others.
///
/// # Errors
/// Shares that make no sense; rows that cannot be read; files that cannot be written.
pub fn split(table: &Table, pieces: &[Piece], by: &str, seed: u64, job: &mut Job<'_>) -> Result<SplitUp> {
    let sum: f64 = pieces.iter().map(|piece| piece.share).sum();
    if let Some(piece) = pieces.iter().find(|piece| !(piece.share.is_finite() && piece.share > 0.0)) {
        return Err(Error::data(&piece.target.path, format!("{} is no share of a data set", piece.share)));
    }
    for (at, piece) in pieces.iter().enumerate() {
        let path = &piece.target.path;
        if pieces[..at].iter().any(|other| other.target.path == *path) {
            return Err(Error::data(path, "two pieces would have this name"));
        }
    }
    let mut outputs = pieces.iter().map(|piece| Output::one(&piece.target)).collect::<Result<Vec<_>>>()?;
    let mut counts = vec![0; pieces.len()];
    let mut named = false;
    let read = |row: zoo_records::Unread| -> Result<_> {
        let row = row.parse()?;
        let value = row.get(by).filter(|value| **value != Value::Null);
        let named = value.is_some();
        let key = match value {
            Some(value) => value.to_json().to_string(),
            None => Value::Map(row.fields().to_vec()).to_json().to_string(),
        };
        // 53 bits are a number in 0..1.
        let place = (rank(seed, &key, 0) >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        let mut end = 0.0;
        let piece = pieces.iter().position(|piece| {
            end += piece.share;
            place < end
        });
        Ok((piece.unwrap_or(pieces.len() - 1), named, row))
    };
    job.each(table, read, |row| {
        let (piece, has, row) = row?;
        named |= has;
        counts[piece] += 1;
        outputs[piece].write(&row)
    })?;
    // Texts alone have no images; another column that nobody has is a slip.
    if !named && by != "image" && counts.iter().any(|count| *count > 0) {
        let path = table.files().next().unwrap_or(Path::new(""));
        return Err(Error::data(path, format!("no record has a column `{by}` by which to split")));
    }
    outputs.into_iter().try_for_each(Output::finish)?;
    Ok(SplitUp { pieces: pieces.iter().map(|piece| piece.target.path.clone()).zip(counts).collect() })
}
