//! Pictures of benchmarks among those that are learnt from (the paper's section on leakage).

mod hash;
mod index;
mod near;

use std::path::Path;

use serde::Serialize;

pub use hash::{Hash, dhash, phash};
pub(crate) use index::Hashes;
pub use index::Pictures;
pub use near::{FARTHEST, Near};

use crate::Result;
use crate::job::Job;
use crate::output::{Output, Target};

/// When two pictures count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Same {
    /// Which hash is compared.
    pub hash: Kind,
    /// In how many bits they may differ. The paper's check is the difference hash and 0.
    pub distance: u32,
}

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`dhash`].
    Difference,
    /// [`phash`].
    Perceptual,
}

impl Same {
    pub(crate) fn of(self, hashes: Hashes) -> Option<Hash> {
        let Hashes::Of(difference, perceptual) = hashes else { return None };
        Some(match self.hash {
            Kind::Difference => difference,
            Kind::Perceptual => perceptual,
        })
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Leaks {
    /// Which hash was compared.
    pub hash: Kind,
    /// In how many bits pictures may differ.
    pub distance: u32,
    /// Records that were looked at, those without a picture included.
    pub rows: u64,
    /// Of these, records whose picture could be read.
    pub pictures: u64,
    /// Records whose picture cannot be read, and was compared with nothing.
    pub unread: u64,
    /// Records whose picture is in some benchmark.
    pub leaked: u64,
    /// Each benchmark, and all of them at the end.
    pub benchmarks: Vec<Leak>,
    /// Pairs, the first ones: place of the record, benchmark, place in it.
    pub pairs: Vec<(String, String, String)>,
}

/// Pictures of one benchmark.
#[derive(Debug, Clone, Serialize)]
pub struct Leak {
    /// Its name.
    pub name: String,
    /// Its pictures that could be read.
    pub pictures: u64,
    /// Of these, pictures that are learnt from.
    pub leaked: u64,
    /// Percent of its pictures that are learnt from.
    pub percent: f64,
    /// Rows without a picture that can be read.
    pub unread: u64,
}

/// Pairs that are reported.
const PAIRS: usize = 1000;

/// Compares the pictures of `training` with those of all `benchmarks`; with a `target`, writes the records whose picture
/// is in none. Hashes are kept in the folder `kept`, where there is one.
///
/// # Errors
/// Tables that cannot be read; a benchmark without a picture; the file that is written. Pictures that cannot be read
/// are counted.
pub fn leak(
    training: &Pictures,
    benchmarks: &[Pictures],
    same: Same,
    kept: Option<&Path>,
    target: Option<&Target>,
    job: &mut Job<'_>,
) -> Result<Leaks> {
    let mut out = target.map(Output::one).transpose()?;
    // What is not there is told before hours of hashing.
    for pictures in benchmarks.iter().chain([training]) {
        pictures.table()?;
    }
    let mut near = Near::new(same.distance);
    // Benchmark and place of each hash.
    let mut places: Vec<(usize, String)> = Vec::new();
    let mut found: Vec<Leak> = Vec::new();
    for (number, benchmark) in benchmarks.iter().enumerate() {
        let mut leak = Leak { name: benchmark.name.clone(), pictures: 0, leaked: 0, percent: 0.0, unread: 0 };
        benchmark.hashes(kept, job, |place, hashes| {
            match same.of(hashes) {
                Some(hash) => {
                    near.add(hash);
                    places.push((number, place.to_owned()));
                    leak.pictures += 1;
                }
                None => leak.unread += 1,
            }
            Ok(())
        })?;
        if leak.pictures == 0 {
            return Err(benchmark.none_read(leak.unread));
        }
        found.push(leak);
    }
    let mut hit = vec![false; places.len()];
    let mut leaks = Leaks {
        hash: same.hash,
        distance: same.distance,
        rows: 0,
        pictures: 0,
        unread: 0,
        leaked: 0,
        benchmarks: Vec::new(),
        pairs: Vec::new(),
    };
    // Bits in the order of the rows: which records go.
    let mut goes: Vec<bool> = Vec::new();
    training.hashes(kept, job, |place, hashes| {
        leaks.rows += 1;
        leaks.unread += u64::from(hashes == Hashes::Unread);
        let hash = same.of(hashes);
        leaks.pictures += u64::from(hash.is_some());
        let matches = hash.map_or_else(Vec::new, |hash| near.of(hash));
        leaks.leaked += u64::from(!matches.is_empty());
        if out.is_some() {
            goes.push(!matches.is_empty());
        }
        for number in matches {
            hit[number as usize] = true;
            if leaks.pairs.len() < PAIRS {
                let (benchmark, other) = &places[number as usize];
                leaks.pairs.push((place.to_owned(), benchmarks[*benchmark].name.clone(), other.clone()));
            }
        }
        Ok(())
    })?;
    if leaks.pictures == 0 && leaks.unread > 0 {
        return Err(training.none_read(leaks.unread));
    }
    for (hit, (benchmark, _)) in hit.iter().zip(&places) {
        found[*benchmark].leaked += u64::from(*hit);
    }
    let sum = |of: fn(&Leak) -> u64| found.iter().map(of).sum::<u64>();
    found.push(Leak {
        name: "all".to_owned(),
        pictures: sum(|leak| leak.pictures),
        leaked: sum(|leak| leak.leaked),
        percent: 0.0,
        unread: sum(|leak| leak.unread),
    });
    for leak in &mut found {
        leak.percent = 100.0 * leak.leaked as f64 / leak.pictures as f64;
    }
    leaks.benchmarks = found;
    if let Some(mut out) = out.take() {
        let mut goes = goes.into_iter();
        job.each(&training.table()?, zoo_records::Unread::parse, |row| match goes.next().unwrap_or(false) {
            true => Ok(()),
            false => out.write(&row?),
        })?;
        out.finish()?;
    }
    Ok(leaks)
}
