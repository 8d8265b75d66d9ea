//! The nearest of many vectors, by reading all of them.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io::{self, Read};

use rayon::prelude::*;

/// Bytes that are read at a time.
const BLOCK: usize = 8 << 20;

/// A vector that is near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its place.
    pub place: usize,
    /// The cosine of the angle between it and what was asked for.
    pub cosine: f32,
}

impl Eq for Hit {}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of two that are equally near, the first counts as nearer.
        self.cosine.total_cmp(&other.cosine).then(other.place.cmp(&self.place))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `most` nearest to `question` of `rows` vectors of its width, the nearest first.
pub(super) fn nearest(
    mut vectors: impl Read,
    rows: usize,
    question: &[f32],
    most: usize,
) -> io::Result<Vec<Hit>> {
    let width = question.len().max(1);
    let at_once = (BLOCK / (4 * width)).max(1);
    let mut bytes = vec![0; 4 * width * at_once.min(rows)];
    let mut best: BinaryHeap<Reverse<Hit>> = BinaryHeap::with_capacity(most + 1);
    for first in (0..rows).step_by(at_once) {
        let count = at_once.min(rows - first);
        let bytes = &mut bytes[..4 * width * count];
        vectors.read_exact(bytes)?;
        let cosines: Vec<f32> = bytes.par_chunks(4 * width).map(|row| product(row, question)).collect();
        for (row, cosine) in cosines.into_iter().enumerate() {
            best.push(Reverse(Hit { place: first + row, cosine }));
            if best.len() > most {
                best.pop();
            }
        }
    }
    Ok(best.into_sorted_vec().into_iter().map(|Reverse(hit)| hit).collect())
}

/// Of little-endian numbers with others, in eight sums, which processors keep side by side.
fn product(row: &[u8], question: &[f32]) -> f32 {
    const LANES: usize = 8;
    let number = |bytes: &[u8]| bytes.try_into().map_or(f32::NAN, f32::from_le_bytes);
    let mut sums = [0f32; LANES];
    let (rows, questions) = (row.chunks_exact(4 * LANES), question.chunks_exact(LANES));
    let rest = rows.remainder().chunks_exact(4).zip(questions.remainder());
    let rest: f32 = rest.map(|(bytes, other)| number(bytes) * other).sum();
    for (row, question) in rows.zip(questions) {
        for ((sum, bytes), other) in sums.iter_mut().zip(row.chunks_exact(4)).zip(question) {
            *sum += number(bytes) * other;
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(rows: &[[f32; 2]]) -> Vec<u8> {
        rows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[track_caller]
    fn check(question: [f32; 2], most: usize, expected: &[usize]) {
        let vectors = bytes(&[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [1.0, 0.0]]);
        let hits = nearest(&*vectors, 4, &question, most).unwrap();
        assert_eq!(hits.iter().map(|hit| hit.place).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_nearest_come_first_and_equals_in_their_order() {
        check([1.0, 0.0], 4, &[0, 3, 2, 1]);
        check([1.0, 0.0], 1, &[0]);
        check([0.0, 1.0], 2, &[1, 2]);
        check([0.0, 1.0], 9, &[1, 2, 0, 3]);
        check([0.0, 1.0], 0, &[]);
    }

    #[test]
    fn products_are_those_of_a_loop() {
        for width in [1, 7, 8, 17, 64] {
            let row: Vec<f32> = (0..width).map(|i| (i as f32 * 0.7).sin()).collect();
            let question: Vec<f32> = (0..width).map(|i| (i as f32 * 1.3).cos()).collect();
            let raw: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
            let plain: f64 = row.iter().zip(&question).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(product(&raw, &question)) - plain).abs() < 1e-5, "{width}");
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        assert!(nearest(&*bytes(&[[1.0, 0.0]]), 2, &[1.0, 0.0], 1).is_err());
    }
}
