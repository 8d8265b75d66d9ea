//! Records that say the same.

mod minhash;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};
use zoo_records::{Options, Row, Table, Unread, Value};

use crate::job::Job;
use crate::leak::{Hashes, Near, Pictures, Same};
use crate::output::{Output, Target};
use crate::{Error, Result};

pub use minhash::{Bands, MinHash};

/// What makes two records the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Alike {
    /// The same image (by its path or bytes) and the same conversation. Ids and sources do not count.
    Exact,
    /// A picture that looks the same, and the same conversation.
    Picture(Same),
    /// A picture that looks the same, whatever is said about it.
    PictureAlone(Same),
    /// Most of the words in the same places: the Jaccard index of their runs of five words is at least this.
    Text(f64),
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Deduplicated {
    /// Records that were read.
    pub rows: u64,
    /// Records that say what an earlier one says.
    pub duplicates: u64,
    /// Records that were written.
    pub kept: u64,
    /// Records whose picture cannot be read, where pictures are compared. They are like nothing.
    pub unread: u64,
    /// Pairs, the first ones: place of the record that goes, and of the one that stays.
    pub pairs: Vec<(String, String)>,
}

/// Pairs that are reported.
const PAIRS: usize = 1000;

/// Writes the records of `data` without those that an earlier one is like.
///
/// # Errors
/// Tables and rows that cannot be read; the file that is written. Nothing is left behind.
pub fn dedup(data: &Pictures, alike: Alike, target: &Target, job: &mut Job<'_>) -> Result<Deduplicated> {
    let what = (alike, &data.column, &data.images);
    let mut out = Output::create(target, &crate::output::job("dedup", what, &[&data.table()?])?)?;
    // For each row, the earlier one that it is like.
    let (same, unread) = match alike {
        Alike::Exact => (exact(data, job)?, 0),
        Alike::Picture(same) => by_picture(data, same, true, job)?,
        Alike::PictureAlone(same) => by_picture(data, same, false, job)?,
        Alike::Text(threshold) => (by_text(data, threshold, &target.path, job)?, 0),
    };
    let index = data.table()?.index()?;
    let mut found = Deduplicated { rows: 0, duplicates: 0, kept: 0, unread, pairs: Vec::new() };
    let mut row_number = 0;
    job.each(&data.table()?, Unread::parse, |row| {
        found.rows += 1;
        let first = same.get(row_number).copied().filter(|first| *first as usize != row_number);
        match first {
            None => {
                found.kept += 1;
                out.write(&row?)?;
            }
            Some(first) => {
                found.duplicates += 1;
                if found.pairs.len() < PAIRS {
                    let place = |row: usize| index.place(row).map(|place| place.to_string());
                    found.pairs.push((place(row_number)?, place(first as usize)?));
                }
            }
        }
        row_number += 1;
        Ok(())
    })?;
    out.finish()?;
    Ok(found)
}

/// The conversation as one text.
fn said(row: &Row) -> String {
    let mut out = String::new();
    match row.get("conversations") {
        Some(Value::List(turns)) => {
            for turn in turns {
                for part in ["from", "value"] {
                    out.push_str(turn.get(part).and_then(Value::as_text).unwrap_or_default());
                    out.push('\n');
                }
            }
        }
        // Any other table: all of its texts.
        _ => {
            for (name, value) in row.fields().iter().filter(|(name, _)| name != "image" && name != "id") {
                out.push_str(name);
                out.push_str(value.as_text().unwrap_or_default());
                out.push('\n');
            }
        }
    }
    out
}

/// 16 bytes of a hash: of ten million records, two that differ are the same with a chance of 1 in 10^24.
fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut out = [0; 16];
    out.copy_from_slice(&hash.finalize()[..16]);
    out
}

fn exact(data: &Pictures, job: &mut Job<'_>) -> Result<Vec<u32>> {
    let read = |row: Unread| -> Result<[u8; 16]> {
        let row = row.parse()?;
        let image = row.get(&data.column).map_or_else(String::new, |image| image.to_json().to_string());
        Ok(digest(&[image.as_bytes(), said(&row).as_bytes()]))
    };
    let mut firsts = Firsts::default();
    job.each(&data.table()?, read, |hash| firsts.see(hash?))?;
    Ok(firsts.same)
}

/// The first row with each hash. Only hashes of rows that are kept are held.
#[derive(Default)]
struct Firsts {
    seen: HashMap<[u8; 16], u32>,
    same: Vec<u32>,
}

impl Firsts {
    fn see(&mut self, hash: [u8; 16]) -> Result<()> {
        let row = number(self.same.len())?;
        let first = *self.seen.entry(hash).or_insert(row);
        self.same.push(first);
        Ok(())
    }
}

fn number(row: usize) -> Result<u32> {
    u32::try_from(row).map_err(|_| Error::Internal("more than 4 billion rows".to_owned()))
}

fn by_picture(data: &Pictures, same: Same, with_text: bool, job: &mut Job<'_>) -> Result<(Vec<u32>, u64)> {
    let mut near = Near::new(same.distance);
    let mut rows_of: Vec<u32> = Vec::new();
    let texts = match with_text {
        true => {
            let read = |row: Unread| -> Result<[u8; 16]> { Ok(digest(&[said(&row.parse()?).as_bytes()])) };
            let mut texts = Vec::new();
            job.each(&data.table()?, read, |hash| {
                texts.push(hash?);
                Ok(())
            })?;
            texts
        }
        false => Vec::new(),
    };
    let mut out: Vec<u32> = Vec::new();
    let mut unread = 0;
    data.hashes(None, job, |_, hashes| {
        let row = number(out.len())?;
        unread += u64::from(hashes == Hashes::Unread);
        let Some(hash) = same.of(hashes) else {
            out.push(row);
            return Ok(());
        };
        let alike = |other: &u32| !with_text || texts.get(*other as usize) == texts.get(row as usize);
        let first = near.of(hash).into_iter().map(|n| rows_of[n as usize]).find(alike);
        if first.is_none() {
            near.add(hash);
            rows_of.push(row);
        }
        out.push(first.unwrap_or(row));
        Ok(())
    })?;
    match near.is_empty() && !out.is_empty() {
        // Of texts alone, too: by their pictures they cannot be told apart.
        true => Err(data.none_read(out.len() as u64)),
        false => Ok((out, unread)),
    }
}

fn by_text(data: &Pictures, threshold: f64, out: &Path, job: &mut Job<'_>) -> Result<Vec<u32>> {
    let bands = Bands::of(threshold)
        .ok_or_else(|| Error::data(Path::new("--threshold"), "a number between 0 and 1 is expected"))?;
    let minhash = MinHash::new(bands.hashes());
    let mut spill = minhash::Spill::beside(out, bands)?;
    let read = |row: Unread| -> Result<Vec<u64>> {
        Ok(bands.keys(&minhash.signature(&minhash::shingles(&said(&row.parse()?)))))
    };
    job.each(&data.table()?, read, |keys| spill.add(&keys?))?;
    let texts = Table::open(&data.paths, Options::default())?.index()?;
    let shingles = |row: u32| -> Result<HashSet<u64>> {
        Ok(minhash::shingles(&said(&texts.get(row as usize)?)).into_iter().collect())
    };
    spill.same(|a, b| Ok(minhash::jaccard(&shingles(a)?, &shingles(b)?) >= threshold))
}
