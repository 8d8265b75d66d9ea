//! Sums over rows: what a vector that is added to each row has as its gradient.

use rayon::prelude::*;

use crate::element::Element;
use crate::lanes::{self, LANES, Lanes, Work};

/// Columns of a task: a few cache lines of each row.
pub(super) const STRIP: usize = 4 * LANES;
/// Rows whose sum is made by itself before it is added to the others, so that small numbers are not lost in a long sum.
const TURN: usize = 64;

/// Writes the sums of the columns of `x`, `[rows, columns]`, to `out`, `[columns]`. Runs on the threads of rayon.
///
/// # Panics
/// When a length does not fit.
pub fn sum_rows<T: Element>(x: &[T], out: &mut [f32]) {
    let columns = out.len();
    assert!(columns > 0 && x.len().is_multiple_of(columns), "x: not [rows, {columns}]");
    out.par_chunks_mut(STRIP).enumerate().for_each(|(strip, out)| {
        let first = strip * STRIP;
        let add = |row: usize, sums: &mut [f32]| {
            sums.iter_mut().zip(&x[row * columns + first..]).for_each(|(sum, x)| *sum += x.widen());
        };
        lanes::run(Strip { rows: x.len() / columns, out, add });
    });
}

/// Sums over rows of what `add` adds for a row to the sums of a strip.
pub(super) struct Strip<'a, F> {
    pub rows: usize,
    /// At most [`STRIP`].
    pub out: &'a mut [f32],
    pub add: F,
}

impl<F: Fn(usize, &mut [f32])> Work for Strip<'_, F> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { rows, out, add } = self;
        let mut sums = [0.0; STRIP];
        for start in (0..rows).step_by(TURN) {
            let mut turn = [0.0; STRIP];
            let turn = &mut turn[..out.len()];
            for row in start..rows.min(start + TURN) {
                add(row, turn);
            }
            sums.iter_mut().zip(turn).for_each(|(sum, turn)| *sum += *turn);
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum);
    }
}
