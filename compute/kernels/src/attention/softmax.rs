//! The running soft-max of a block of queries, one on each lane (arXiv 1805.02867).

use crate::tile::{Tile, exp2};

/// What is known of the keys so far.
#[repr(align(64))]
pub(super) struct Running<const COLUMNS: usize> {
    /// The largest score; [`f32::MIN`] while no key was seen, so that a hidden score has the weight zero.
    max: [f32; COLUMNS],
    /// The sum of all weights relative to it.
    sum: [f32; COLUMNS],
    /// What the results so far have to be multiplied with.
    pub correction: [f32; COLUMNS],
}

impl<const COLUMNS: usize> Running<COLUMNS> {
    pub fn new() -> Self {
        Self { max: [f32::MIN; COLUMNS], sum: [0.0; COLUMNS], correction: [1.0; COLUMNS] }
    }

    /// Replaces the scores of some keys by their weights, `unit` being what a score counts in powers of two. Where
    /// tiles of `K` read pairs, the number of keys is even and `pairs` takes the weights in that form.
    ///
    /// # Safety
    /// The machine has the instructions of `K`.
    #[inline(always)]
    pub unsafe fn weigh<K: Tile<COLUMNS>>(
        &mut self,
        scores: &mut [[f32; COLUMNS]],
        unit: f32,
        pairs: &mut [[u32; COLUMNS]],
    ) {
        let mut max = self.max;
        for row in &*scores {
            for (max, &score) in max.iter_mut().zip(row) {
                *max = if score > *max { score } else { *max };
            }
        }
        let mut sum = [0.0; COLUMNS];
        if K::PAIRS {
            let (two, _) = scores.as_chunks_mut::<2>();
            for ([low, high], cells) in two.iter_mut().zip(pairs) {
                // SAFETY: the caller's.
                unsafe {
                    K::weigh(low, &max, unit, &mut sum);
                    K::weigh(high, &max, unit, &mut sum);
                    K::pair(low, high, cells);
                }
            }
        } else {
            for row in scores {
                // SAFETY: the caller's.
                unsafe { K::weigh(row, &max, unit, &mut sum) };
            }
        }
        for i in 0..COLUMNS {
            self.correction[i] = exp2((self.max[i] - max[i]) * unit);
            self.sum[i] = self.sum[i] * self.correction[i] + sum[i];
        }
        self.max = max;
    }

    /// The logarithm to base 2 of the sum of all weights of a lane.
    #[inline(always)]
    pub fn log(&self, lane: usize, unit: f32) -> f32 {
        match self.sum[lane] {
            0.0 => f32::INFINITY,
            sum => self.max[lane] * unit + sum.log2(),
        }
    }

    /// What the results have to be multiplied with at the end: zero where no key was seen.
    #[inline(always)]
    pub fn share(&self) -> [f32; COLUMNS] {
        self.sum.map(|sum| if sum == 0.0 { 0.0 } else { 1.0 / sum })
    }
}
