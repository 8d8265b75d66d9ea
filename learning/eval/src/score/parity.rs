//! Pairs as the paper's released code counts them: by the parity of lines in the file of answers.
//!
//! It is right only where both answers of every pair are there, in order, and every category begins on an even line.

use std::collections::BTreeMap;

/// The running count that the code keeps: right adds one, unless the line is odd and the count even; wrong takes one
/// away if the line is odd and the count odd.
#[derive(Debug, Clone, Copy, Default)]
struct Count(i64);

impl Count {
    fn line(&mut self, index: usize, right: bool) {
        let (odd_line, odd_count) = (index % 2 == 1, self.0 % 2 == 1);
        match right {
            true if odd_line && !odd_count => {}
            true => self.0 += 1,
            false if odd_line && odd_count => self.0 -= 1,
            false => {}
        }
    }
}

/// MMVP: `100 count / lines`.
pub(super) fn pairs(right: impl Iterator<Item = bool>) -> f64 {
    let (mut count, mut lines) = (Count::default(), 0);
    for (index, right) in right.enumerate() {
        count.line(index, right);
        lines += 1;
    }
    100.0 * count.0 as f64 / f64::from(lines.max(1))
}

/// MME: per category `100 (right + count) / answers`, with the parity of lines in the whole file.
pub(super) fn categories<'a>(answers: impl Iterator<Item = (&'a str, bool)>) -> BTreeMap<&'a str, f64> {
    let mut sums: BTreeMap<&str, (i64, Count, i64)> = BTreeMap::new();
    for (index, (category, right)) in answers.enumerate() {
        let (correct, count, all) = sums.entry(category).or_default();
        *correct += i64::from(right);
        count.line(index, right);
        *all += 1;
    }
    sums.into_iter()
        .map(|(name, (right, count, all))| (name, 100.0 * (right + count.0) as f64 / all as f64))
        .collect()
}
