//! One pass over a table: read ahead, parsed on all processors, taken in order.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use zoo_records::{Table, Unread};

use crate::{Error, Result};

/// Rows, and bytes of them, that are parsed together. Memory is bounded by some such chunks.
const ROWS: usize = 4096;
const BYTES: usize = 32 << 20;

/// Who waits for a long job.
pub trait Watch {
    /// So many rows were dealt with in all.
    fn rows(&mut self, done: u64);
}

impl Watch for () {
    fn rows(&mut self, _: u64) {}
}

impl<F: FnMut(u64)> Watch for F {
    fn rows(&mut self, done: u64) {
        self(done);
    }
}

/// A job that can be watched and ended.
pub struct Job<'a> {
    watch: &'a mut dyn Watch,
    stop: &'a AtomicBool,
    done: u64,
}

impl<'a> Job<'a> {
    /// `stop` ends it, when set, with [`Error::Stopped`].
    pub fn new(watch: &'a mut dyn Watch, stop: &'a AtomicBool) -> Self {
        Self { watch, stop, done: 0 }
    }

    /// Reads every row of `table` on all processors and gives the results to `take` in the order of the rows, whatever
    /// the number of processors.
    ///
    /// # Errors
    /// [`Error::Stopped`]; a file that breaks off; what `take` reports.
    pub fn each<T: Send>(
        &mut self,
        table: &Table,
        read: impl Fn(Unread) -> T + Sync,
        mut take: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        self.each_wanted(table, |_| true, read, |result| result.map_or(Ok(()), &mut take))
    }

    /// As [`Job::each`], for those rows whose number is `wanted`; of the others `take` is told that they were there.
    ///
    /// # Errors
    /// As [`Job::each`].
    pub fn each_wanted<T: Send>(
        &mut self,
        table: &Table,
        mut wanted: impl FnMut(u64) -> bool + Send,
        read: impl Fn(Unread) -> T + Sync,
        mut take: impl FnMut(Option<T>) -> Result<()>,
    ) -> Result<()> {
        let mut number = 0;
        let mut rows = table.unread().map(|row| {
            let row = row?;
            number += 1;
            Ok(wanted(number - 1).then_some(row))
        });
        let mut next = chunk(&mut rows);
        loop {
            let (chunk_of, stopped) = next;
            if chunk_of.is_empty() {
                return stopped.map_or(Ok(()), |error| Err(error.into()));
            }
            let (results, ahead) = rayon::join(
                || chunk_of.into_par_iter().map(|row| row.map(&read)).collect::<Vec<_>>(),
                || if stopped.is_some() { (Vec::new(), stopped) } else { chunk(&mut rows) },
            );
            next = ahead;
            let count = results.len() as u64;
            results.into_iter().try_for_each(&mut take)?;
            self.advance(count)?;
        }
    }

    /// Tells that `rows` more were dealt with.
    ///
    /// # Errors
    /// [`Error::Stopped`] when somebody asked for it.
    pub fn advance(&mut self, rows: u64) -> Result<()> {
        self.done += rows;
        self.watch.rows(self.done);
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::Stopped),
            false => Ok(()),
        }
    }
}

/// The next rows, those that are wanted, and why there are no more.
type Chunk = (Vec<Option<Unread>>, Option<zoo_records::Error>);

fn chunk(rows: &mut (impl Iterator<Item = zoo_records::Result<Option<Unread>>> + Send)) -> Chunk {
    let (mut out, mut bytes) = (Vec::new(), 0);
    while out.len() < ROWS && bytes < BYTES {
        match rows.next() {
            None => break,
            Some(Err(error)) => return (out, Some(error)),
            Some(Ok(row)) => {
                bytes += row.as_ref().map_or(0, Unread::bytes);
                out.push(row);
            }
        }
    }
    (out, None)
}

/// A number for row `row` of what is called `name`: the smallest ones of a seed are a random choice, the same on every
/// machine and whatever was read before.
pub(crate) fn rank(seed: u64, name: &str, row: u64) -> u64 {
    // FNV-1a over the name, then two rounds of SplitMix64, whose output is equidistributed.
    let name = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(mix(seed ^ name).wrapping_add(row.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
