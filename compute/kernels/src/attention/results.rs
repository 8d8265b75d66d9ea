//! From sums that have a query on each lane to rows that have a channel beside the next.

use std::ptr::NonNull;

use crate::element::Element;
use crate::out::Out;
use crate::panels::{self, Line};
use crate::tile::{Tile, WOVEN};

/// The sums of a block of queries, and room to turn them.
pub(super) struct Turned<'a, const COLUMNS: usize> {
    pub channels: usize,
    /// Rows of the tiles of sums.
    pub height: usize,
    /// A row for each channel, and more to fill the last tile.
    pub sums: &'a mut [[f32; COLUMNS]],
    /// Where tiles read pairs: half as many rows.
    pub pairs: &'a mut [[u32; COLUMNS]],
    /// As many as [`cells`] says.
    pub rows: &'a mut [Line],
}

/// Cells of a query: whole turns of [`Tile::weave`].
fn width(channels: usize, pairs: bool) -> usize {
    panels::steps(channels, pairs).next_multiple_of(WOVEN)
}

/// Cells of [`Turned::rows`].
pub(super) fn cells(channels: usize, pairs: bool, columns: usize) -> usize {
    width(channels, pairs) * columns
}

impl<const COLUMNS: usize> Turned<'_, COLUMNS> {
    /// Multiplies the sums of each query by its share, rounds them and writes them to `out`, from its start on.
    ///
    /// # Safety
    /// The machine has the instructions of `K`; elements are bf16 where these read pairs. There are at most `COLUMNS`
    /// starts, places for all channels from each lie in `out`, and nobody else uses them.
    #[inline(always)]
    pub unsafe fn write<K: Tile<COLUMNS>, T: Element>(
        self,
        share: &[f32; COLUMNS],
        out: Out<T>,
        starts: impl Iterator<Item = usize>,
    ) {
        let Self { channels, height, sums, pairs, rows } = self;
        for tile in sums.chunks_exact_mut(height) {
            let nothing = NonNull::dangling().as_ptr();
            // SAFETY: the caller's; no step is read.
            unsafe { K::add(height, 0, nothing, nothing, share, tile.as_mut_ptr()) };
        }
        let (two, _) = sums.as_chunks::<2>();
        for ([low, high], cells) in two.iter().zip(pairs.iter_mut()).filter(|_| K::PAIRS) {
            // SAFETY: the caller's.
            unsafe { K::pair(low, high, cells) };
        }
        let cells: *const [u32; COLUMNS] = if K::PAIRS { pairs.as_ptr() } else { sums.as_ptr().cast() };
        let (steps, width) = (panels::steps(channels, K::PAIRS), width(channels, K::PAIRS));
        let turned = panels::cells_mut(rows);
        for first in (0..COLUMNS).step_by(WOVEN) {
            for step in (0..steps).step_by(WOVEN) {
                let mut from = [std::ptr::null(); WOVEN];
                let count = WOVEN.min(steps - step);
                for (r, from) in from.iter_mut().enumerate().take(count) {
                    *from = cells.wrapping_add(step + r).cast::<u32>().wrapping_add(first);
                }
                let to = &mut turned[first * width + step..];
                // SAFETY: `COLUMNS` is a multiple of `WOVEN`, and there are `steps` rows of cells; the queries from
                // `first` on have their rows in `to`.
                unsafe { K::weave(&from, count, to.as_mut_ptr(), width, to.len()) };
            }
        }
        if K::PAIRS {
            for (start, row) in starts.zip(panels::elements_mut::<T>(rows).chunks_exact(2 * width)) {
                // SAFETY: the caller's.
                unsafe { copy(&row[..channels], out, start, |x| x) };
            }
        } else {
            for (start, row) in starts.zip(panels::floats_mut(rows).chunks_exact(width)) {
                // SAFETY: the caller's.
                unsafe { copy(&row[..channels], out, start, T::round) };
            }
        }
    }
}

/// Writes a row to the places from `start`, a few numbers at a time: a call to copy so little costs more than copying.
///
/// # Safety
/// As for [`Out::set`].
#[inline(always)]
unsafe fn copy<X: Copy, T: Element>(row: &[X], out: Out<T>, start: usize, element: impl Fn(X) -> T) {
    const PART: usize = 8;
    let (whole, rest) = row.as_chunks::<PART>();
    for (i, part) in whole.iter().enumerate() {
        let mut numbers = [T::round(0.0); PART];
        numbers.iter_mut().zip(part).for_each(|(to, x)| *to = element(*x));
        // SAFETY: the caller's.
        unsafe { out.set(start + i * PART, numbers) };
    }
    for (i, x) in (PART * whole.len()..).zip(rest) {
        // SAFETY: as above.
        unsafe { out.set(start + i, [element(*x)]) };
    }
}
