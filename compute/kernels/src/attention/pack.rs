//! Keys and values of one head in the form in which tiles read their rows.

use std::ops::Range;

use crate::element::Element;
use crate::panels::weave_rows;
use crate::prefetch;
use crate::tile::Tile;

use super::Heads;

/// Keys of a block. A multiple of every tile's rows and of two.
pub(super) const BLOCK: usize = 96;

/// Tokens between the one that is packed and the one that is asked for: neighbours lie pages apart, so the machine does
/// not guess them.
const AHEAD: usize = 24;

/// The tokens of one head of one image.
#[derive(Clone, Copy)]
pub(super) struct Head<'a, T> {
    pub heads: Heads<'a, T>,
    pub image: usize,
    pub head: usize,
    pub tokens: usize,
    pub channels: usize,
}

impl<'a, T: Element> Head<'a, T> {
    #[inline(always)]
    fn row(&self, token: usize) -> &'a [T] {
        self.heads.row(self.image, token, self.head, self.channels)
    }

    /// Has the rows of some tokens brought near, of those that there are.
    #[inline(always)]
    fn fetch(&self, tokens: Range<usize>) {
        for token in tokens.start..tokens.end.min(self.tokens) {
            prefetch::read(self.row(token));
        }
    }

    /// Fills `panels`, of a tile's rows of tokens each from `first` on, with the channels along the steps.
    ///
    /// # Safety
    /// The machine has the instructions of `K`.
    #[inline(always)]
    pub unsafe fn keys<K: Tile<COLUMNS>, const COLUMNS: usize>(
        &self,
        panels: &mut [u32],
        first: usize,
        steps: usize,
    ) {
        for (i, panel) in panels.chunks_exact_mut(steps * K::ROWS).enumerate() {
            let start = first + i * K::ROWS;
            self.fetch(start + AHEAD..start + AHEAD + K::ROWS);
            let count = self.tokens.saturating_sub(start).min(K::ROWS);
            let row = |r| self.row(start + r);
            // SAFETY: the caller's.
            unsafe { weave_rows::<K, T, COLUMNS>(panel, K::ROWS, self.channels, count, row) };
        }
    }

    /// Fills `blocks`, of [`BLOCK`] tokens each from `first` on, with panels of `height` channels that have the
    /// tokens along the steps. What lies beyond the last token stays as it is, but for the second of its pair.
    /// `cells` has room for the channels of all panels.
    #[inline(always)]
    pub fn values(&self, blocks: &mut [u32], first: usize, height: usize, pairs: bool, cells: &mut [u32]) {
        // So that the compiler knows how many cells are copied.
        match height {
            12 => self.columns::<12>(blocks, first, pairs, cells),
            8 => self.columns::<8>(blocks, first, pairs, cells),
            6 => self.columns::<6>(blocks, first, pairs, cells),
            4 => self.columns::<4>(blocks, first, pairs, cells),
            2 => self.columns::<2>(blocks, first, pairs, cells),
            _ => unreachable!("no tile has {height} rows"),
        }
    }

    #[inline(always)]
    fn columns<const HEIGHT: usize>(&self, blocks: &mut [u32], first: usize, pairs: bool, cells: &mut [u32]) {
        let tokens_of_step = if pairs { 2 } else { 1 };
        let panel = BLOCK / tokens_of_step * HEIGHT;
        let panels = self.channels.div_ceil(HEIGHT);
        let all = &mut cells[..panels * HEIGHT];
        all[self.channels..].fill(0);
        for (i, block) in blocks.chunks_exact_mut(panels * panel).enumerate() {
            let start = first + i * BLOCK;
            let tokens = start..self.tokens.min(start + BLOCK);
            for (step, token) in tokens.step_by(tokens_of_step).enumerate() {
                self.fetch(token + AHEAD..token + AHEAD + tokens_of_step);
                let (cells, low) = (&mut all[..self.channels], self.row(token));
                if pairs && token + 1 < self.tokens {
                    let halves = low.iter().zip(self.row(token + 1));
                    cells.iter_mut().zip(halves).for_each(|(cell, (&low, &high))| *cell = T::pair(low, high));
                } else if pairs {
                    let zero = T::round(0.0);
                    cells.iter_mut().zip(low).for_each(|(cell, &low)| *cell = T::pair(low, zero));
                } else {
                    cells.iter_mut().zip(low).for_each(|(cell, low)| *cell = low.widen().to_bits());
                }
                for (panel, cells) in block.chunks_exact_mut(panel).zip(all.as_chunks::<HEIGHT>().0) {
                    panel[step * HEIGHT..][..HEIGHT].copy_from_slice(cells);
                }
            }
        }
    }
}
