//! Tiles: the sums of a few rows by one panel of outputs, held in registers along all inputs.
//!
//! [`Tile::sums`] is written as intrinsics or as loops that the compiler vectorises, and the compiler turns everything
//! around it into the same instructions by inlining it into what calls [`Job::run`] for them.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{Avx512, Cells, Pairs, Singles};
pub(crate) use portable::Portable;

use crate::element::Element;
use crate::finish::Finish;

/// One instruction set. `COLUMNS` outputs make a panel of weights.
pub(crate) trait Tile<const COLUMNS: usize> {
    /// How sums are finished.
    type Arithmetic: Finish;
    /// The same tile with as few columns as [`Tile::weave`] takes rows, for the last of what would leave half empty.
    type Narrow: Tile<WOVEN>;
    /// Rows of activations of a tile, at most [`ROWS`].
    const ROWS: usize;
    /// A second height, for what the first would fill up with much nothing.
    const SHORT: usize;
    /// Whether a cell is two `bf16`.
    const PAIRS: bool;

    /// Writes the sums over `steps` cells.
    ///
    /// # Safety
    /// The machine has the instructions; `x` points to `steps × ROWS` readable cells and `w` to `steps × COLUMNS`, or
    /// half as many where `P` is folded, `w` on a cache line where `COLUMNS` is a multiple of 16; `sums` to `ROWS` rows
    /// that may be written. Only panels that are as wide as the tile and hold no pairs are folded.
    unsafe fn sums<P: Panel>(steps: usize, x: *const u32, w: *const u32, sums: *mut [f32; COLUMNS]);

    /// Writes a folded panel to `wide`, with a cell for each output.
    ///
    /// # Safety
    /// The machine has the instructions; `w` points to `steps × COLUMNS / 2` readable cells and `wide` to twice as many
    /// that may be written, both on a cache line. Only for panels that [`Tile::sums`] would take.
    unsafe fn widen(steps: usize, w: *const u32, wide: *mut u32);

    /// As [`Tile::sums`], number for number, of `FEW` rows: products with so few wait for the weights, not for sums.
    ///
    /// # Safety
    /// As for `sums`, with `steps × FEW` cells at `x` and `FEW` rows at `sums`.
    unsafe fn few<P: Panel, const FEW: usize>(
        steps: usize,
        x: *const u32,
        w: *const u32,
        sums: *mut [f32; COLUMNS],
    );

    /// As [`Tile::sums`], but adds to `rows` rows of `sums` scaled by `scale`; `rows` is [`Tile::ROWS`] or
    /// [`Tile::SHORT`].
    ///
    /// # Safety
    /// As for `sums`, with `steps × rows` cells at `x` and `rows` rows of finished numbers at `sums`.
    unsafe fn add(
        rows: usize,
        steps: usize,
        x: *const u32,
        w: *const u32,
        scale: &[f32; COLUMNS],
        sums: *mut [f32; COLUMNS],
    );

    /// Replaces scores by their weights, `2^((score - max) · unit)` ([`exp2`]), and adds them to `sum`.
    ///
    /// # Safety
    /// The machine has the instructions.
    #[inline(always)]
    unsafe fn weigh(scores: &mut [f32; COLUMNS], max: &[f32; COLUMNS], unit: f32, sum: &mut [f32; COLUMNS]) {
        for lane in 0..COLUMNS {
            scores[lane] = exp2((scores[lane] - max[lane]) * unit);
            sum[lane] += scores[lane];
        }
    }

    /// Rounds a row; what is not normal may become zero.
    ///
    /// # Safety
    /// The machine has the instructions.
    #[inline(always)]
    unsafe fn round<T: Element>(row: &[f32; COLUMNS], to: &mut [T; COLUMNS]) {
        to.iter_mut().zip(row).for_each(|(to, &x)| *to = T::round(x));
    }

    /// Rounds two rows to the cells of one step; only for tiles of pairs.
    ///
    /// # Safety
    /// The machine has the instructions.
    #[inline(always)]
    unsafe fn pair(low: &[f32; COLUMNS], high: &[f32; COLUMNS], cells: &mut [u32; COLUMNS]) {
        for ((cell, &low), &high) in cells.iter_mut().zip(low).zip(high) {
            *cell = f32::pair(low, high);
        }
    }

    /// Writes [`WOVEN`] cells of each of `count` rows side by side: cell `s` of row `r` to `to[s · width + r]`. Writes
    /// zeros for the rows up to [`WOVEN`] or, in a narrower panel, up to its width, which is at most or a multiple of
    /// that. Places of later steps are written to before their turn; so steps go up.
    ///
    /// # Safety
    /// The machine has the instructions; the first `count` of `rows`, at most [`WOVEN`], point to so many readable
    /// cells of any alignment, `to` to `room` cells that may be written, which hold all steps.
    #[inline(always)]
    unsafe fn weave(rows: &[*const u32; WOVEN], count: usize, to: *mut u32, width: usize, room: usize) {
        debug_assert!(room >= (WOVEN - 1) * width + width.min(WOVEN));
        for step in 0..WOVEN {
            for (r, row) in rows.iter().enumerate().take(width) {
                // SAFETY: the caller's.
                unsafe {
                    let cell = if r < count { row.add(step).read_unaligned() } else { 0 };
                    to.add(step * width + r).write(cell);
                }
            }
        }
    }
}

/// How a panel of weights holds a step.
pub(crate) trait Panel {
    /// Whether a cell is two `bf16`, the weights of an output and of the one half a panel further on; else there is a
    /// cell for each output.
    const FOLDED: bool;
}

/// A cell for each output.
pub(crate) struct Flat;

/// A cell for two outputs.
pub(crate) struct Folded;

impl Panel for Flat {
    const FOLDED: bool = false;
}

impl Panel for Folded {
    const FOLDED: bool = true;
}

/// Work that is compiled for every instruction set.
pub(crate) trait Job {
    /// # Safety
    /// The machine has the instructions of `K`; what else the job asks for.
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self);
}

/// The polynomial of `2ˣ`: near-minimax on -1/2..1/2 to a relative 1.6e-7, exact at 0; highest power first.
const POWERS: [f32; 6] = [1.327_647_2e-3, 9.675_542e-3, 5.550_713e-2, 2.402_212e-1, 6.931_469_4e-1, 1.0];

/// Two to the power of `x <= 0`, to a relative 3e-7; zero where the result is not normal.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    // Adding and taking it away rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    const LEAST: f32 = -126.0;
    let inside = if x < LEAST { LEAST } else { x };
    let shifted = inside + ROUND;
    let r = inside - (shifted - ROUND);
    let mut value = POWERS[0];
    for c in &POWERS[1..] {
        value = value * r + c;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    if x < LEAST { 0.0 } else { power * value }
}

/// Rows and cells that [`Tile::weave`] takes at a time.
pub(crate) const WOVEN: usize = 16;

/// Most rows of a tile.
pub(crate) const ROWS: usize = 12;

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
