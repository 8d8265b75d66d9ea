//! Products with packed weights.

use std::cell::Cell;

use rayon::prelude::*;

use crate::block::{Block, Product};
use crate::element::Element;
use crate::epilogue::Epilogue;
use crate::kernel::Shape;
use crate::norm::Norm;
use crate::out::{Out, Slot, filled};
use crate::packed::Packed;
use crate::packing;
use crate::panels::{self, Line, room};
use crate::results::Results;

/// Most cells of activations that are packed at a time.
const SLAB: usize = 2 << 20;
/// Blocks of work for each thread: enough to even out threads of unequal speed.
const BLOCKS_PER_THREAD: usize = 16;

/// What is multiplied by weights.
#[derive(Clone, Copy)]
enum Rows<'a, T> {
    /// `[rows, inputs]`, normalised on the way or not.
    Matrix(&'a [T], Option<&'a Norm<'a, T>>),
    /// `[inputs, rows]`.
    Transposed(&'a [T]),
}

impl Packed {
    /// Writes the product of `x`, `[rows, inputs]`, and the transposed weights, followed by `epilogue`, to `out`,
    /// `[rows, outputs]`, and returns it. Runs on the threads of rayon. A row depends on nothing but that row, bit by
    /// bit.
    ///
    /// # Panics
    /// When a length does not fit, or when weights were packed as bf16 for rows of f32.
    pub fn apply<'o, T: Element>(
        &self,
        x: &[T],
        epilogue: &Epilogue<'_, T>,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        self.product(Rows::Matrix(x, None), epilogue, out)
    }

    /// As [`Packed::apply`] of the transpose of `x`, `[inputs, rows]`.
    ///
    /// # Panics
    /// As [`Packed::apply`].
    pub fn apply_transposed<'o, T: Element>(
        &self,
        x: &[T],
        epilogue: &Epilogue<'_, T>,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        self.product(Rows::Transposed(x), epilogue, out)
    }

    /// As [`Packed::apply`] of the normalised rows of `x`, which are never in memory: the same bits as of
    /// [`Norm::apply`].
    ///
    /// # Panics
    /// As [`Packed::apply`].
    pub fn apply_normed<'o, T: Element>(
        &self,
        x: &[T],
        norm: &Norm<'_, T>,
        epilogue: &Epilogue<'_, T>,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        norm.check(self.inputs());
        self.product(Rows::Matrix(x, Some(norm)), epilogue, out)
    }

    fn product<'o, T: Element>(
        &self,
        x: Rows<'_, T>,
        epilogue: &Epilogue<'_, T>,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        let (inputs, outputs, kernel) = (self.inputs(), self.outputs(), self.kernel());
        let Shape { height, pairs, .. } = kernel.shape();
        self.check_rows::<T>();
        if outputs == 0 {
            assert!(out.is_empty(), "out: not [rows, 0]");
            return &mut [];
        }
        let rows = out.len() / outputs;
        assert_eq!(out.len(), rows * outputs, "out: not [rows, {outputs}]");
        let (Rows::Matrix(numbers, _) | Rows::Transposed(numbers)) = x;
        assert_eq!(numbers.len(), rows * inputs, "x: not [{rows}, {inputs}]");
        epilogue.check(rows, outputs);
        let slab = SLAB / panels::steps(inputs, pairs).max(1);
        let slab = slab.next_multiple_of(height).max(height);
        // The calling thread's memory of the last call. Taken, not borrowed: a thread that waits may begin another
        // product.
        thread_local!(static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) });
        let mut scratch = SCRATCH.take();
        for start in (0..rows).step_by(slab) {
            let end = rows.min(start + slab);
            let count = packing::cells(kernel, end - start, inputs);
            let cells = &mut panels::cells_mut(room(&mut scratch, count))[..count];
            match x {
                Rows::Matrix(x, norm) => {
                    packing::pack(kernel, &x[start * inputs..end * inputs], inputs, norm, cells);
                }
                Rows::Transposed(x) => packing::pack_columns(kernel, x, rows, start..end, cells),
            }
            let results = Results::Rows(Out::new(out));
            let product = Product { x: cells, rows: start..end, epilogue: *epilogue, up: None, results };
            // SAFETY: lengths and elements were checked above.
            unsafe { self.multiply(&product) };
        }
        SCRATCH.set(scratch);
        // SAFETY: every row was in a slab, of which all columns were written.
        unsafe { filled(out) }
    }

    /// A product of packed rows: writes all columns of these rows.
    ///
    /// # Safety
    /// What the fields of [`Product`] say is so.
    pub(crate) unsafe fn multiply<T: Element>(&self, product: &Product<'_, T>) {
        let Product { rows, .. } = product;
        let Shape { height, columns, pairs } = self.kernel().shape();
        let steps = panels::steps(self.inputs(), pairs);
        let (tiles, panels) = (rows.len().div_ceil(height), self.outputs().div_ceil(columns));
        if tiles == 0 || panels == 0 {
            return;
        }
        let wanted = BLOCKS_PER_THREAD * rayon::current_num_threads();
        let run = tiles.div_ceil(wanted.div_ceil(panels));
        let runs = tiles.div_ceil(run);
        // One by one, so that whoever is done early finds something to take over.
        (0..panels * runs).into_par_iter().with_max_len(1).for_each(|block| {
            let (panel, first) = (block / runs, block % runs * run);
            let tiles = first..tiles.min(first + run);
            let block = Block { packed: self, steps, height, tiles, panel, product };
            // SAFETY: the caller's; each pair of panel and tiles is given out once; the kernel was chosen among those
            // whose instructions the machine has.
            unsafe { self.kernel().run(&block) }
        });
    }
}
