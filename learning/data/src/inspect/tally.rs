//! Counts in bounded memory.

use std::collections::HashMap;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// How often numbers of each size were seen. Edges double, with one edge between: 0, 1, 2, 3, 4, 6, 8, 12, 16, ….
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    sum: u64,
    least: u64,
    most: u64,
}

impl Histogram {
    /// Counts a number.
    pub fn add(&mut self, number: u64) {
        let bin = bin(number);
        if self.counts.len() <= bin {
            self.counts.resize(bin + 1, 0);
        }
        self.least = if self.count() == 0 { number } else { self.least.min(number) };
        self.most = self.most.max(number);
        self.counts[bin] += 1;
        self.sum += number;
    }

    /// The smallest number; 0 of none.
    pub fn least(&self) -> u64 {
        self.least
    }

    /// The largest number; 0 of none.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Numbers that were seen.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their mean; 0 of none.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count().max(1) as f64
    }

    /// First and last number of each bin, and how many there were.
    pub fn bins(&self) -> Vec<(u64, u64, u64)> {
        self.counts.iter().enumerate().map(|(bin, &count)| (edge(bin), edge(bin + 1) - 1, count)).collect()
    }

    /// The bin below which `share` of the numbers are, by its last number.
    pub fn quantile(&self, share: f64) -> u64 {
        // At least one: below the least number there are none, and the first bins may be empty.
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (_, last, count) in self.bins() {
            seen += count;
            if seen >= wanted {
                return last.min(self.most).max(self.least);
            }
        }
        self.most
    }
}

/// The first number of a bin.
fn edge(bin: usize) -> u64 {
    match bin {
        0..=3 => bin as u64,
        _ => (2 + (bin as u64 & 1)) << (bin / 2 - 1),
    }
}

fn bin(number: u64) -> usize {
    if number < 4 {
        return number as usize;
    }
    let log = number.ilog2() as usize;
    2 * log + (number >> (log - 1) & 1) as usize
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Histogram", 7)?;
        out.serialize_field("count", &self.count())?;
        out.serialize_field("least", &self.least)?;
        out.serialize_field("median", &self.quantile(0.5))?;
        out.serialize_field("p95", &self.quantile(0.95))?;
        out.serialize_field("most", &self.most)?;
        out.serialize_field("mean", &self.mean())?;
        out.serialize_field("bins", &self.bins())?;
        out.end()
    }
}

/// The most frequent of many texts.
///
/// When there are too many different ones, those that were seen least go, and counts of later ones may lack what was
/// seen before (as in lossy counting, Manku and Motwani 2002): then [`Frequent::exact`] is false.
#[derive(Debug, Clone, Default)]
pub struct Frequent {
    counts: HashMap<String, u64>,
    total: u64,
    floor: u64,
}

/// Different texts that are kept.
const MOST: usize = 200_000;

impl Frequent {
    /// Counts a text.
    pub fn add(&mut self, text: String) {
        self.total += 1;
        *self.counts.entry(text).or_insert(self.floor) += 1;
        while self.counts.len() > MOST {
            self.floor += 1;
            let floor = self.floor;
            self.counts.retain(|_, count| *count > floor);
        }
    }

    /// Texts that were seen.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether every count is exact.
    pub fn exact(&self) -> bool {
        self.floor == 0
    }

    /// The `most` most frequent ones, of equal ones the first in the alphabet.
    pub fn first(&self, most: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> =
            self.counts.iter().map(|(text, count)| (text.as_str(), *count)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all.truncate(most);
        all
    }
}

impl Serialize for Frequent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Frequent", 4)?;
        out.serialize_field("total", &self.total)?;
        out.serialize_field("different", &self.counts.len())?;
        out.serialize_field("exact", &self.exact())?;
        out.serialize_field("first", &self.first(50))?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_its_bin() {
        for number in (0..5000).chain([u64::from(u32::MAX), 1 << 40]) {
            let bin = bin(number);
            assert!(
                edge(bin) <= number && number < edge(bin + 1),
                "{number}: {} {}",
                edge(bin),
                edge(bin + 1)
            );
        }
        assert_eq!((0..10).map(edge).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 6, 8, 12, 16, 24]);
    }

    #[test]
    fn quantiles_are_those_of_bins() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|number| histogram.add(number));
        assert_eq!((histogram.least, histogram.most, histogram.mean()), (1, 100, 50.5));
        assert_eq!((histogram.quantile(0.5), histogram.quantile(1.0)), (63, 100));
        let mut large = Histogram::default();
        [128, 130, 191].into_iter().for_each(|number| large.add(number));
        assert_eq!(
            (large.quantile(0.0), large.quantile(0.5), large.least(), large.most()),
            (191, 191, 128, 191)
        );
    }

    #[test]
    fn frequent_texts_survive_many_rare_ones() {
        let mut frequent = Frequent::default();
        for number in 0..3 * MOST {
            frequent.add(format!("rare {number}"));
            frequent.add(["yes", "no"][usize::from(number % 3 == 0)].to_owned());
        }
        assert!(!frequent.exact() && frequent.counts.len() <= MOST);
        assert_eq!(frequent.first(2), [("yes", 2 * MOST as u64), ("no", MOST as u64)]);
    }
}
