//! Keys and values of one head in the form in which tiles read their rows.

use crate::element::Element;
use crate::panels::weave_rows;
use crate::tile::Tile;

use super::Heads;

/// Keys of a block. A multiple of every tile's rows and of two.
pub(super) const BLOCK: usize = 96;

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
            let count = self.tokens.saturating_sub(start).min(K::ROWS);
            let row = |r| self.row(start + r);
            // SAFETY: the caller's.
            unsafe { weave_rows::<K, T, COLUMNS>(panel, K::ROWS, self.channels, count, row) };
        }
    }

    /// Fills `blocks`, of [`BLOCK`] tokens each from `first` on, with panels of `height` channels that have the
    /// tokens along the steps.
    #[inline(always)]
    pub fn values(&self, blocks: &mut [u32], first: usize, height: usize, pairs: bool) {
        // So that the compiler knows how far to unroll.
        match height {
            12 => self.columns::<12>(blocks, first, pairs),
            8 => self.columns::<8>(blocks, first, pairs),
            6 => self.columns::<6>(blocks, first, pairs),
            4 => self.columns::<4>(blocks, first, pairs),
            _ => self.columns::<2>(blocks, first, pairs),
        }
    }

    #[inline(always)]
    fn columns<const HEIGHT: usize>(&self, blocks: &mut [u32], first: usize, pairs: bool) {
        let width = if pairs { 2 } else { 1 };
        let panel = BLOCK / width * HEIGHT;
        let block = self.channels.div_ceil(HEIGHT) * panel;
        for (i, block) in blocks.chunks_exact_mut(block).enumerate() {
            let start = first + i * BLOCK;
            if start + BLOCK > self.tokens || !self.channels.is_multiple_of(HEIGHT) {
                block.fill(0);
            }
            let nothing: [T; HEIGHT] = [T::round(0.0); HEIGHT];
            for (step, token) in (start..self.tokens.min(start + BLOCK)).step_by(width).enumerate() {
                let low = self.row(token);
                let high = (pairs && token + 1 < self.tokens).then(|| self.row(token + 1));
                for (c, panel) in block.chunks_exact_mut(panel).enumerate() {
                    let cells = &mut panel[step * HEIGHT..][..HEIGHT];
                    let low = &low[c * HEIGHT..];
                    let high = high.map_or(nothing.as_slice(), |high| &high[c * HEIGHT..]);
                    match (low.first_chunk::<HEIGHT>(), high.first_chunk::<HEIGHT>()) {
                        (Some(low), Some(high)) => fill(cells, low, high, pairs),
                        _ => fill(cells, low, high, pairs),
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn fill<T: Element>(cells: &mut [u32], low: &[T], high: &[T], pairs: bool) {
    for ((cell, &low), &high) in cells.iter_mut().zip(low).zip(high) {
        *cell = if pairs { T::pair(low, high) } else { low.widen().to_bits() };
    }
}
