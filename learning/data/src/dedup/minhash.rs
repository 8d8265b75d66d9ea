//! Texts that share most of their runs of words, without comparing all pairs (Broder 1997).
//!
//! Keys of bands go to files, 8 bytes for each text and band, and are looked at one band after the other: so memory
//! holds one band, whatever the number of texts.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::job::mix;
use crate::{Error, Result};

/// Words of a run.
const RUN: usize = 5;

/// Hashes of a text's runs of five words; of a shorter text, one of all its words. Case and what is between words do
/// not count.
pub(super) fn shingles(text: &str) -> Vec<u64> {
    let words: Vec<u64> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(char::to_lowercase).fold(17, |hash, c| mix(hash ^ u64::from(c))))
        .collect();
    let run = |words: &[u64]| words.iter().fold(0, |hash, word| mix(hash ^ word));
    match words.len() {
        0 => Vec::new(),
        1..=RUN => vec![run(&words)],
        _ => words.windows(RUN).map(run).collect(),
    }
}

/// Share of the runs of two texts that both have.
pub(super) fn jaccard(a: &HashSet<u64>, b: &HashSet<u64>) -> f64 {
    let both = a.intersection(b).count();
    let any = a.len() + b.len() - both;
    // Two texts without a word are the same.
    if any == 0 { 1.0 } else { both as f64 / any as f64 }
}

/// Smallest hashes of a set under many orders: two sets agree in each with the chance that is their Jaccard index.
pub struct MinHash {
    seeds: Vec<u64>,
}

impl MinHash {
    /// Under `hashes` orders.
    pub fn new(hashes: usize) -> Self {
        Self { seeds: (0..hashes as u64).map(|seed| mix(seed.wrapping_mul(0x5851_f42d_4c95_7f2d))).collect() }
    }

    /// The smallest hash of `set` under each order.
    pub fn signature(&self, set: &[u64]) -> Vec<u64> {
        self.seeds.iter().map(|seed| set.iter().map(|item| mix(item ^ seed)).min().unwrap_or(0)).collect()
    }
}

/// How signatures are cut: texts that agree in all rows of one band are looked at as a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    bands: usize,
    rows: usize,
}

impl Bands {
    /// Such that of pairs at `threshold` hardly one in fifty is missed; nothing for what is no threshold.
    pub fn of(threshold: f64) -> Option<Self> {
        if !(threshold > 0.0 && threshold <= 1.0) {
            return None;
        }
        // The chance that a pair is met is 1 - (1 - t^r)^b.
        let met = |bands: usize, rows: usize| 1.0 - (1.0 - threshold.powi(rows as i32)).powi(bands as i32);
        (1..=12)
            .rev()
            .map(|rows| Self { bands: 128 / rows, rows })
            .find(|b| met(b.bands, b.rows) >= 0.98)
            .or(Some(Self { bands: 128, rows: 1 }))
    }

    /// Hashes of a signature.
    pub fn hashes(self) -> usize {
        self.bands * self.rows
    }

    /// One key for each band.
    pub fn keys(self, signature: &[u64]) -> Vec<u64> {
        signature
            .chunks_exact(self.rows)
            .map(|rows| rows.iter().fold(1, |key, hash| mix(key ^ hash)))
            .collect()
    }
}

/// Keys of all texts, a file for each band.
pub(super) struct Spill {
    files: Vec<BufWriter<File>>,
    folder: PathBuf,
    texts: usize,
}

impl Spill {
    /// Files without a name in the folder of `out`, which has room for much; the system's own folder for such files may be
    /// memory.
    pub fn beside(out: &Path, bands: Bands) -> Result<Self> {
        let folder = match out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = || tempfile::tempfile_in(folder).map(|file| BufWriter::with_capacity(1 << 14, file));
        let files = (0..bands.bands).map(|_| file()).collect::<std::io::Result<_>>().map_err(io(folder))?;
        Ok(Self { files, folder: folder.to_owned(), texts: 0 })
    }

    pub fn add(&mut self, keys: &[u64]) -> Result<()> {
        for (file, key) in self.files.iter_mut().zip(keys) {
            file.write_all(&key.to_le_bytes()).map_err(io(&self.folder))?;
        }
        self.texts += 1;
        Ok(())
    }

    /// For each text the first of those that it is like, by way of others or not. Pairs that share a band are judged by
    /// `alike`; of many with one key, each is compared with the first ones that it is not yet joined with.
    pub fn same(self, mut alike: impl FnMut(u32, u32) -> Result<bool>) -> Result<Vec<u32>> {
        let mut groups = Groups::new(super::number(self.texts)?);
        let io = || io(&self.folder);
        for file in self.files {
            let mut file = file.into_inner().map_err(|error| io()(error.into_error()))?;
            file.rewind().map_err(io())?;
            let mut reader = BufReader::with_capacity(1 << 18, file);
            let mut keys: Vec<(u64, u32)> = Vec::with_capacity(self.texts);
            let mut key = [0; 8];
            for text in 0..self.texts as u32 {
                reader.read_exact(&mut key).map_err(io())?;
                keys.push((u64::from_le_bytes(key), text));
            }
            keys.sort_unstable();
            for bucket in keys.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1) {
                // One of each group that was found in this bucket stands for it.
                let mut stand: Vec<u32> = Vec::new();
                for &(_, text) in bucket {
                    let root = groups.root(text);
                    if stand.iter().any(|&other| groups.root(other) == root) {
                        continue;
                    }
                    let mut joined = false;
                    for &other in stand.iter().take(MOST) {
                        if alike(other, text)? {
                            groups.join(other, text);
                            joined = true;
                            break;
                        }
                    }
                    if !joined {
                        stand.push(text);
                    }
                }
            }
        }
        Ok((0..self.texts as u32).map(|text| groups.root(text)).collect())
    }
}

/// Texts of one key that a text is compared with: keys that many texts share without being alike are rare.
const MOST: usize = 32;

fn io(folder: &Path) -> impl FnOnce(std::io::Error) -> Error {
    Error::io(folder, "cannot keep the keys of texts")
}

/// Texts that belong together; the first of each group stands for it.
struct Groups(Vec<u32>);

impl Groups {
    fn new(count: u32) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, text: u32) -> u32 {
        let mut at = text;
        while self.0[at as usize] != at {
            // Halves the way for the next one.
            self.0[at as usize] = self.0[self.0[at as usize] as usize];
            at = self.0[at as usize];
        }
        at
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_tell_how_alike_texts_are() {
        let words = |from: usize, to: usize| (from..to).map(|i| format!("w{i} ")).collect::<String>();
        let minhash = MinHash::new(512);
        for (a, b) in
            [(words(0, 200), words(0, 200)), (words(0, 200), words(20, 220)), (words(0, 90), words(90, 200))]
        {
            let (a, b) = (shingles(&a), shingles(&b));
            let exact = jaccard(&a.iter().copied().collect(), &b.iter().copied().collect());
            let agree =
                minhash.signature(&a).iter().zip(minhash.signature(&b)).filter(|(a, b)| **a == *b).count();
            // Three standard deviations of 512 throws.
            assert!((agree as f64 / 512.0 - exact).abs() < 0.07, "{agree} of 512, {exact}");
        }
        assert_eq!(shingles("One, two"), shingles("one two!"));
        assert_eq!(shingles(" ?"), Vec::<u64>::new());
    }

    #[test]
    fn bands_meet_pairs_at_the_threshold() {
        for threshold in [0.3, 0.5, 0.7, 0.8, 0.9, 1.0] {
            let Bands { bands, rows } = Bands::of(threshold).unwrap();
            let met = 1.0 - (1.0 - threshold.powi(rows as i32)).powi(bands as i32);
            assert!(met >= 0.98, "{threshold}: {met}");
        }
        assert_eq!(Bands::of(0.0), None);
        assert_eq!(Bands::of(f64::NAN), None);
    }
}
