//! The forms in which a tile reads its two factors: cells of 32 bits, an `f32` or two neighbouring `bf16`.
//!
//! A panel of `width` rows of a matrix `[rows, inputs]` holds, for each step along the inputs, the cells of its
//! rows side by side. Rows and inputs beyond the matrix are zero.

use crate::element::Element;
use crate::tile::{Tile, WOVEN};

/// A cache line of cells, so that panels begin on one.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u32; 16]);

/// Cells of a [`Line`].
pub(crate) const LINE: usize = 16;

/// At least so many cells of `lines`.
pub(crate) fn room(lines: &mut Vec<Line>, cells: usize) -> &mut [Line] {
    let count = cells.div_ceil(LINE);
    if lines.len() < count {
        lines.resize(count, Line([0; LINE]));
    }
    &mut lines[..count]
}

/// The same memory as numbers.
pub(crate) fn floats_mut(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: as in `cells_mut`; every 32 bits are an `f32`.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LINE) }
}

/// The same memory as elements, at least two or one to a cell.
pub(crate) fn elements_mut<T: Element>(lines: &mut [Line]) -> &mut [T] {
    // SAFETY: as in `cells_mut`; an element is no larger and no more aligned than a cell, and any bits are one.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size_of_val(lines) / size_of::<T>()) }
}

/// Steps that are packed for all rows before the next ones, so that what is written stays in the first-level cache.
const STRIP: usize = 64;

/// Steps along `inputs` numbers.
pub(crate) fn steps(inputs: usize, pairs: bool) -> usize {
    if pairs { inputs.div_ceil(2) } else { inputs }
}

/// The cells of `lines`.
pub(crate) fn cells(lines: &[Line]) -> &[u32] {
    // SAFETY: a line is its sixteen cells and nothing else; the length cannot overflow for memory that exists.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LINE) }
}

/// As [`cells`], to write.
pub(crate) fn cells_mut(lines: &mut [Line]) -> &mut [u32] {
    // SAFETY: as in `cells`, borrowed exclusively.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LINE) }
}

/// Fills `panel`, `steps × width` cells, from `count` rows of `inputs` numbers that may lie anywhere.
#[inline(always)]
pub(crate) fn pack_rows<'a, T: Element>(
    panel: &mut [u32],
    width: usize,
    inputs: usize,
    pairs: bool,
    count: usize,
    row: impl Fn(usize) -> &'a [T],
) {
    if count < width {
        panel.fill(0);
    }
    let inputs_of_strip = if pairs { 2 * STRIP } else { STRIP };
    for (i, strip) in panel.chunks_mut(STRIP * width).enumerate() {
        let range = i * inputs_of_strip..inputs.min((i + 1) * inputs_of_strip);
        for r in 0..count {
            let (row, column) = (&row(r)[range.clone()], strip[r..].iter_mut().step_by(width));
            if pairs {
                let (whole, rest) = row.as_chunks::<2>();
                let rest = rest.first().map(|&last| T::pair(last, T::round(0.0)));
                column.zip(whole.iter().map(|&[a, b]| T::pair(a, b)).chain(rest)).for_each(|(to, x)| *to = x);
            } else {
                column.zip(row).for_each(|(to, x)| *to = x.widen().to_bits());
            }
        }
    }
}

/// As [`pack_rows`] for panels of `K`, with its instructions.
///
/// # Safety
/// The machine has the instructions of `K`.
#[inline(always)]
pub(crate) unsafe fn weave_rows<'a, K: Tile<COLUMNS>, T: Element, const COLUMNS: usize>(
    panel: &mut [u32],
    width: usize,
    inputs: usize,
    count: usize,
    row: impl Fn(usize) -> &'a [T],
) {
    // Cells stand in the rows as they are, but for an odd last input.
    let whole = if K::PAIRS { inputs / 2 } else { inputs };
    if T::HALF != K::PAIRS || whole < WOVEN {
        return pack_rows(panel, width, inputs, K::PAIRS, count, row);
    }
    for first in (0..width).step_by(WOVEN) {
        let mut rows = [std::ptr::null(); WOVEN];
        let present = count.saturating_sub(first).min(WOVEN);
        for (r, at) in rows.iter_mut().enumerate().take(present) {
            *at = row(first + r)[..inputs].as_ptr().cast::<u32>();
        }
        for step in (0..whole).step_by(WOVEN) {
            // The last turn goes back to have enough steps.
            let step = step.min(whole - WOVEN);
            let to = &mut panel[step * width + first..];
            let from = rows.map(|at| at.wrapping_add(step));
            // SAFETY: rows are `inputs` long; the panel has all steps, so this slice those of the turn.
            unsafe { K::weave(&from, present, to.as_mut_ptr(), width, to.len()) };
        }
        if K::PAIRS && inputs % 2 == 1 {
            for r in 0..WOVEN.min(width - first) {
                let last = if r < present { T::pair(row(first + r)[inputs - 1], T::round(0.0)) } else { 0 };
                panel[whole * width + first + r] = last;
            }
        }
    }
}
