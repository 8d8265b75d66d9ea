//! A tile's rows of activations, packed as they are or normalised on the way.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use crate::element::Element;
use crate::kernel::{Kernel, Shape};
use crate::lanes;
use crate::norm::{Norm, Rows};
use crate::out::Out;
use crate::panels::{self, Line, room, weave_rows};
use crate::tile::{Job, Tile};

/// Heights of the last tile, where they are lower than the kernel's own.
const FEW: [usize; 4] = [1, 2, 4, 8];

/// Cells that so many rows of `inputs` numbers take.
pub(crate) fn cells(kernel: Kernel, rows: usize, inputs: usize) -> usize {
    let Shape { height, pairs, .. } = kernel.shape();
    let last = match rows % height {
        0 => 0,
        rest => FEW.into_iter().find(|&few| rest <= few && few < height).unwrap_or(height),
    };
    (rows / height * height + last) * panels::steps(inputs, pairs)
}

/// Packs `[rows, inputs]` tile by tile into `to`, [`cells`] in all. Runs on the threads of rayon.
pub(crate) fn pack<T: Element>(
    kernel: Kernel,
    x: &[T],
    inputs: usize,
    norm: Option<&Norm<'_, T>>,
    to: &mut [u32],
) {
    let Shape { height, pairs, .. } = kernel.shape();
    let steps = panels::steps(inputs, pairs);
    let tiles = to.par_chunks_mut((steps * height).max(1)).zip(x.par_chunks((height * inputs).max(1)));
    tiles.with_max_len(1).for_each(|(panel, rows)| {
        let (cells, height) = (panel.len(), panel.len() / steps.max(1));
        let packing = Packing { panel: Out::new(panel), cells, height, rows, inputs, norm };
        // SAFETY: the panel is as long as it says, and this task's alone.
        unsafe { kernel.run(&packing) }
    });
}

/// As [`pack`], of the columns `rows` of `x`, `[inputs, stride]`.
pub(crate) fn pack_columns<T: Element>(
    kernel: Kernel,
    x: &[T],
    stride: usize,
    rows: Range<usize>,
    to: &mut [u32],
) {
    let Shape { height, pairs, .. } = kernel.shape();
    let inputs = x.len() / stride.max(1);
    let steps = panels::steps(inputs, pairs);
    to.par_chunks_mut((steps * height).max(1)).with_max_len(1).enumerate().for_each(|(tile, panel)| {
        let start = rows.start + tile * height;
        let columns = start..rows.end.min(start + height);
        let row = |p: usize| &x[p * stride..][columns.clone()];
        let width = panel.len() / steps.max(1);
        if columns.len() < width {
            panel.fill(0);
        }
        for (step, cells) in panel.chunks_exact_mut(width).enumerate() {
            if !pairs {
                cells.iter_mut().zip(row(step)).for_each(|(cell, x)| *cell = x.widen().to_bits());
                continue;
            }
            let low = row(2 * step);
            if 2 * step + 1 < inputs {
                let numbers = low.iter().zip(row(2 * step + 1));
                cells.iter_mut().zip(numbers).for_each(|(cell, (&a, &b))| *cell = T::pair(a, b));
            } else {
                let zero = T::round(0.0);
                cells.iter_mut().zip(low).for_each(|(cell, &a)| *cell = T::pair(a, zero));
            }
        }
    });
}

/// At most `height` rows that become one panel.
struct Packing<'a, T> {
    panel: Out<u32>,
    /// Length of the panel.
    cells: usize,
    height: usize,
    /// `[rows, inputs]`.
    rows: &'a [T],
    inputs: usize,
    norm: Option<&'a Norm<'a, T>>,
}

impl<T: Element> Job for Packing<'_, T> {
    /// # Safety
    /// That of [`Job::run`]; the panel has `cells` cells, and nobody else uses them.
    #[inline(always)]
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self) {
        // SAFETY: the caller's.
        unsafe {
            let panel = self.panel.slice(0, self.cells);
            if self.inputs == 0 {
                return;
            }
            match self.norm {
                Some(norm) => self.normed::<K, COLUMNS>(norm, panel),
                None => self.fill::<K, COLUMNS>(self.rows, panel),
            }
        }
    }
}

impl<T: Element> Packing<'_, T> {
    /// # Safety
    /// The machine has the instructions of `K`.
    #[inline(always)]
    unsafe fn fill<K: Tile<COLUMNS>, const COLUMNS: usize>(&self, rows: &[T], panel: &mut [u32]) {
        let (inputs, count) = (self.inputs, rows.len() / self.inputs);
        let row = |r: usize| &rows[r * inputs..][..inputs];
        // SAFETY: the caller's.
        unsafe {
            if self.height == K::ROWS {
                // So that the compiler knows the step of the writes.
                weave_rows::<K, T, COLUMNS>(panel, K::ROWS, inputs, count, row);
            } else {
                weave_rows::<K, T, COLUMNS>(panel, self.height, inputs, count, row);
            }
        }
    }

    /// # Safety
    /// As for `fill`.
    #[inline(always)]
    unsafe fn normed<K: Tile<COLUMNS>, const COLUMNS: usize>(&self, norm: &Norm<'_, T>, panel: &mut [u32]) {
        // The thread's memory of the last tile.
        thread_local!(static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) });
        let mut scratch = SCRATCH.take();
        let normed = &mut panels::elements_mut::<T>(room(&mut scratch, self.rows.len()))[..self.rows.len()];
        lanes::run(Rows { norm, x: self.rows, stride: self.inputs, out: normed });
        // SAFETY: the caller's.
        unsafe { self.fill::<K, COLUMNS>(normed, panel) };
        SCRATCH.set(scratch);
    }
}
