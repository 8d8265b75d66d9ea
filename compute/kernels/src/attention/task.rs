//! What one task computes: some queries on all keys of their head.

use std::cell::Cell;

use super::block::{PackedHead, Room};
use super::pack::{BLOCK, Head};
use super::queries::Queries;
use crate::element::Element;
use crate::panels::{self, Line};
use crate::prefetch;
use crate::tile::{Job, Tile, WOVEN};

/// Memory of a thread, kept for its next task.
#[derive(Default)]
struct Scratch {
    keys: Vec<Line>,
    values: Vec<Line>,
    room: Room,
}

impl<T: Element> Job for Queries<'_, T> {
    /// # Safety
    /// That of [`Job::run`]; `out` is `[batch, queries, heads, channels]`, and nobody else uses the places of this
    /// task.
    #[inline(always)]
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self) {
        // Taken, not borrowed: what a thread waits for may be another task.
        thread_local!(static SCRATCH: Cell<Scratch> = Cell::default());
        let mut scratch = SCRATCH.take();
        // SAFETY: the caller's.
        unsafe { self.compute::<K, COLUMNS>(&mut scratch) };
        SCRATCH.set(scratch);
    }
}

impl<T: Element> Queries<'_, T> {
    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn compute<K: Tile<COLUMNS>, const COLUMNS: usize>(&self, scratch: &mut Scratch) {
        // Keys and values are packed for one of them and read by both.
        const {
            assert!(K::ROWS == K::Narrow::ROWS && K::SHORT == K::Narrow::SHORT);
            assert!(K::PAIRS == K::Narrow::PAIRS);
        }
        let channels = self.attention.size.channels;
        let Scratch { keys, values, room } = scratch;
        self.rows.clone().take(COLUMNS).for_each(|row| prefetch::read(self.query(row)));

        let whole = self.sight(self.rows.clone());
        let begin = whole.start / BLOCK * BLOCK;
        let blocks = (whole.end - begin).div_ceil(BLOCK);
        // With the second of the last pair, or the next task would find there what this one does not.
        let tokens = whole.end.next_multiple_of(2).min(self.attention.size.keys);
        let head = |heads| Head { heads, image: self.image, head: self.head, tokens, channels };
        let steps = panels::steps(channels, K::PAIRS);
        let key_cells = blocks * BLOCK * steps;
        let keys = &mut panels::cells_mut(panels::room(keys, key_cells))[..key_cells];
        // SAFETY: the caller's.
        unsafe { head(self.attention.k).keys::<K, COLUMNS>(keys, begin, steps) };
        // Of the two heights, the one that needs less filling up.
        let [high, low] = [K::ROWS, K::SHORT].map(|height| channels.next_multiple_of(height));
        let (height, filled) = if low < high { (K::SHORT, low) } else { (K::ROWS, high) };
        let value_cells = blocks * panels::steps(BLOCK, K::PAIRS) * filled;
        let values = &mut panels::cells_mut(panels::room(values, value_cells))[..value_cells];
        head(self.attention.v).values(values, begin, height, K::PAIRS, room.cells(filled));

        let packed = PackedHead { keys, values, first: begin / BLOCK, height };
        for start in self.rows.clone().step_by(COLUMNS) {
            let rows = start..self.rows.end.min(start + COLUMNS);
            // SAFETY: the caller's; keys and values were packed for tiles that have the rows of both of these.
            unsafe {
                if rows.len() > WOVEN {
                    self.block::<K, COLUMNS>(rows, &packed, room);
                } else {
                    self.block::<K::Narrow, WOVEN>(rows, &packed, room);
                }
            }
        }
    }
}
