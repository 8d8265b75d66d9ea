//! The running soft-max of a block of queries, one on each lane (arXiv 1805.02867).

use crate::panels::pair;

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

    /// Replaces the scores of some keys (an even number of rows if `pairs`), in units of `1 / unit` powers of two, by
    /// their weights, in the form in which a tile reads them.
    #[inline(always)]
    pub fn weigh(&mut self, scores: &mut [[f32; COLUMNS]], unit: f32, weights: &mut [u32], pairs: bool) {
        let mut max = self.max;
        for row in &*scores {
            for (max, &score) in max.iter_mut().zip(row) {
                *max = if score > *max { score } else { *max };
            }
        }
        let weigh = |row: &mut [f32; COLUMNS], sum: &mut [f32; COLUMNS]| {
            for ((score, max), sum) in row.iter_mut().zip(&max).zip(sum) {
                *score = exp2((*score - max) * unit);
                *sum += *score;
            }
        };
        let mut sum = [0.0; COLUMNS];
        if pairs {
            for (two, cells) in scores.chunks_exact_mut(2).zip(weights.chunks_exact_mut(COLUMNS)) {
                let [low, high] = two else { continue };
                weigh(low, &mut sum);
                weigh(high, &mut sum);
                for ((cell, &low), &high) in cells.iter_mut().zip(&*low).zip(&*high) {
                    *cell = pair(low, high);
                }
            }
        } else {
            for (row, cells) in scores.iter_mut().zip(weights.chunks_exact_mut(COLUMNS)) {
                weigh(row, &mut sum);
                for (cell, weight) in cells.iter_mut().zip(&*row) {
                    *cell = weight.to_bits();
                }
            }
        }
        for i in 0..COLUMNS {
            self.correction[i] = exp2((self.max[i] - max[i]) * unit);
            self.sum[i] = self.sum[i] * self.correction[i] + sum[i];
        }
        self.max = max;
    }

    /// What the results have to be multiplied with at the end: zero where no key was seen.
    #[inline(always)]
    pub fn share(&self) -> [f32; COLUMNS] {
        self.sum.map(|sum| if sum == 0.0 { 0.0 } else { 1.0 / sum })
    }
}

/// Two to the power of `x <= 0`, to a relative 3e-7; zero where the result is not normal.
#[inline(always)]
fn exp2(x: f32) -> f32 {
    // Adding and taking it away rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    const LEAST: f32 = -126.0;
    // ln(2)ᵏ / k!: the rest is below 2⁻²³ for |r| <= 1/2.
    const SERIES: [f32; 7] = [
        1.540_353e-4,
        1.333_355_8e-3,
        9.618_129e-3,
        5.550_411e-2,
        2.402_265_1e-1,
        std::f32::consts::LN_2,
        1.0,
    ];
    let inside = if x < LEAST { LEAST } else { x };
    let shifted = inside + ROUND;
    let r = inside - (shifted - ROUND);
    let mut value = SERIES[0];
    for c in &SERIES[1..] {
        value = value * r + c;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < LEAST { 0.0 } else { power * value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_relatively_exact() {
        for i in 0..=1_260_000 {
            let x = -i as f32 * 1e-4;
            let error = (f64::from(exp2(x)) / f64::from(x).exp2() - 1.0).abs();
            assert!(error <= 3e-7, "2^{x}: off by {error:e}");
        }
        assert_eq!([0.0, -1.0, -126.0].map(exp2), [1.0, 0.5, f32::MIN_POSITIVE]);
        assert_eq!([-126.5, -1e30, f32::NEG_INFINITY].map(exp2), [0.0; 3]);
        assert!(exp2(f32::NAN).is_nan());
    }
}
