//! A tile's rows of activations, packed as they are or normalised on the way.

use std::cell::Cell;

use crate::element::Element;
use crate::norm::Norm;
use crate::out::Out;
use crate::panels::{pack, pack_rows};
use crate::tile::{Job, Tile};

/// At most `height` rows that become one panel.
pub(crate) struct Packing<'a, T> {
    pub panel: Out<u32>,
    /// Length of the panel.
    pub cells: usize,
    pub height: usize,
    /// `[rows, inputs]`.
    pub rows: &'a [T],
    pub inputs: usize,
    pub norm: Option<&'a Norm<'a, T>>,
}

impl<T: Element> Job for Packing<'_, T> {
    /// # Safety
    /// That of [`Job::run`]; the panel has `cells` cells, and nobody else uses them.
    #[inline(always)]
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self) {
        // SAFETY: the caller's.
        let panel = unsafe { self.panel.slice(0, self.cells) };
        if self.height == K::ROWS {
            // So that the compiler knows the step of the writes.
            self.fill(panel, K::ROWS, K::PAIRS);
        } else {
            self.fill(panel, self.height, K::PAIRS);
        }
    }
}

impl<T: Element> Packing<'_, T> {
    #[inline(always)]
    fn fill(&self, panel: &mut [u32], height: usize, pairs: bool) {
        let inputs = self.inputs;
        let Some(norm) = self.norm.filter(|_| inputs > 0) else {
            return pack(panel, height, self.rows, inputs, pairs);
        };
        thread_local!(static NORMED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) });
        let mut normed = NORMED.take();
        normed.resize(normed.len().max(self.rows.len()), 0.0);
        for (row, normed) in self.rows.chunks_exact(inputs).zip(normed.chunks_exact_mut(inputs)) {
            norm.row(row, normed);
            if T::HALF && !pairs {
                // Where cells are wide, nothing else rounds.
                normed.iter_mut().for_each(|x| *x = T::round(*x).widen());
            }
        }
        let count = self.rows.len() / inputs;
        pack_rows(panel, height, inputs, pairs, count, |r| &normed[r * inputs..][..inputs]);
        NORMED.set(normed);
    }
}
