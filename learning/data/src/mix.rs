//! Several data sets as one, in a mixed order.

use std::path::PathBuf;

use serde::Serialize;
use zoo_records::{Options, Table};

use crate::job::{Job, rank};
use crate::output::{Output, Target};
use crate::{Error, Result};

/// A part of a mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its file.
    pub records: PathBuf,
    /// How often each record comes: 2 is twice, 0.5 every other one.
    pub times: f64,
}

/// What became of the parts.
#[derive(Debug, Clone, Serialize)]
pub struct Mixed {
    /// Records of each part that were written.
    pub parts: Vec<u64>,
    /// All of them.
    pub total: u64,
}

/// Writes the records of all parts in an order that follows from `seed`.
///
/// # Errors
/// Parts that cannot be read; records that cannot; the file that is written. Nothing is left behind.
pub fn mix(parts: &[Part], seed: u64, target: &Target, job: &mut Job<'_>) -> Result<Mixed> {
    let mut unread = Vec::new();
    for part in parts {
        if !(part.times.is_finite() && part.times > 0.0 && part.times <= 1e6) {
            return Err(Error::data(&part.records, format!("{} times is no share of a mixture", part.times)));
        }
        unread.push(Table::open(&[&part.records], Options::default())?);
    }
    let this = crate::output::job("mix", (parts, seed), &unread.iter().collect::<Vec<_>>())?;
    let mut out = Output::create(target, &this)?;
    let mut tables = Vec::new();
    let mut order: Vec<(u64, u32, u32)> = Vec::new();
    let mut written = Vec::new();
    for (number, (part, table)) in parts.iter().zip(unread).enumerate() {
        let table = table.index()?;
        let before = order.len();
        let small = |row: usize| {
            u32::try_from(row).map_err(|_| Error::data(&part.records, "more than 4 billion records"))
        };
        // Whole rounds take every record; the last one those of the smallest ranks.
        let rounds = part.times.trunc() as u64;
        let name = |round: u64| format!("{number} {round}");
        for round in 0..rounds {
            let name = name(round);
            for row in 0..table.len() {
                order.push((rank(seed, &name, row as u64), number as u32, small(row)?));
            }
        }
        let name = name(rounds);
        let mut rest = Vec::with_capacity(table.len());
        for row in 0..table.len() {
            rest.push((rank(seed, &name, row as u64), number as u32, small(row)?));
        }
        rest.sort_unstable();
        order.extend(rest.iter().take((part.times.fract() * table.len() as f64).round() as usize).map(
            |entry| {
                // What was chosen by a small rank would come early.
                (crate::job::mix(entry.0), entry.1, entry.2)
            },
        ));
        written.push((order.len() - before) as u64);
        tables.push(table);
    }
    order.sort_unstable();
    for (done, (_, part, row)) in order.iter().enumerate() {
        out.write(&tables[*part as usize].get(*row as usize)?)?;
        if done % 1024 == 0 {
            job.advance(if done == 0 { 0 } else { 1024 })?;
        }
    }
    out.finish()?;
    Ok(Mixed { parts: written, total: order.len() as u64 })
}
