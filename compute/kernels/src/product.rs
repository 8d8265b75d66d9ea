//! Products with packed weights.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::block::Block;
use crate::element::Element;
use crate::epilogue::Epilogue;
use crate::isa::Isa;
use crate::kernel::{Kernel, Shape};
use crate::norm::Norm;
use crate::out::{Out, Slot, filled};
use crate::packing;
use crate::pages;
use crate::panels::{self, LINE, Line, room};
use crate::results::Results;
use crate::weights::PanelForm;

/// Most cells of activations that are packed at a time.
const SLAB: usize = 2 << 20;
/// Blocks of work for each thread: enough to even out threads of unequal speed.
const BLOCKS_PER_THREAD: usize = 16;

/// The weights of a linear map, `[outputs, inputs]`, in the form that this machine's tiles read: 4 bytes for each
/// of them, 2 for `bf16`, which is widened in the tile where there are no instructions for it.
#[derive(Debug)]
pub struct Packed {
    kernel: Kernel,
    form: PanelForm,
    outputs: usize,
    inputs: usize,
    lines: Vec<Line>,
}

impl Packed {
    /// Packs `weight`, `[outputs, inputs]` in row-major order.
    ///
    /// # Panics
    /// When its length is another.
    pub fn new<T: Element>(weight: &[T], outputs: usize, inputs: usize) -> Self {
        Self::at_most(Isa::Avx512Bf16, weight, outputs, inputs)
    }

    /// As [`Packed::new`], for no higher instructions than these; to compare them.
    ///
    /// # Panics
    /// As [`Packed::new`].
    pub fn at_most<T: Element>(isa: Isa, weight: &[T], outputs: usize, inputs: usize) -> Self {
        assert_eq!(weight.len(), outputs * inputs, "weights: not [{outputs}, {inputs}]");
        Self::gather(Kernel::choose::<T>(isa), outputs, inputs, |first, rows| {
            rows.copy_from_slice(&weight[first * inputs..][..rows.len()]);
        })
    }

    /// As [`Packed::new`], of weights that are read while they are packed: `read` writes whole rows, the first of
    /// which is named, to its slice, on several threads at once. So nothing is ever held but a few rows and the
    /// panels.
    pub fn read<T: Element>(outputs: usize, inputs: usize, read: impl Fn(usize, &mut [T]) + Sync) -> Self {
        Self::gather(Kernel::choose::<T>(Isa::Avx512Bf16), outputs, inputs, read)
    }

    fn gather<T: Element>(
        kernel: Kernel,
        outputs: usize,
        inputs: usize,
        read: impl Fn(usize, &mut [T]) + Sync,
    ) -> Self {
        let (columns, form) = (kernel.shape().columns, PanelForm::new::<T>(kernel, inputs));
        let panel = form.cells();
        let count = form.panels(outputs) * panel / LINE;
        let mut lines: Vec<Line> = Vec::with_capacity(count);
        let memory = &mut lines.spare_capacity_mut()[..count];
        pages::prefer_large(memory);
        let panels = memory.par_chunks_mut((panel / LINE).max(1)).enumerate();
        panels.for_each_init(Vec::new, |rows, (index, panel)| {
            let first = index * columns;
            rows.resize(columns.min(outputs - first) * inputs, T::round(0.0));
            read(first, rows);
            // Here and not all at once before: each thread touches its memory for the first time, while it needs it.
            panel.fill(MaybeUninit::new(Line([0; LINE])));
            // SAFETY: just filled.
            let panel = unsafe { panel.assume_init_mut() };
            form.pack(panels::cells_mut(panel), rows);
        });
        // SAFETY: the chunks cover `count` lines, each of which was filled.
        unsafe { lines.set_len(count) };
        Self { kernel, form, outputs, inputs, lines }
    }

    /// The weights again, `[outputs, inputs]`; exact when `T` is what was packed.
    pub fn unpack<T: Element>(&self) -> Vec<T> {
        let columns = self.kernel.shape().columns;
        let mut weight = vec![T::round(0.0); self.outputs * self.inputs];
        let cells = panels::cells(&self.lines).par_chunks(self.form.cells().max(1));
        weight.par_chunks_mut((columns * self.inputs).max(1)).zip(cells).for_each(|(rows, panel)| {
            let rows = rows.chunks_exact_mut(self.inputs.max(1)).enumerate();
            rows.for_each(|(r, row)| self.form.row(panel, r, row));
        });
        weight
    }

    /// Row `index` of the weights again, on the calling thread; exact as [`Packed::unpack`] is.
    ///
    /// # Panics
    /// When there is no such row, or its length is another.
    pub fn row<T: Element>(&self, index: usize, out: &mut [T]) {
        assert!(index < self.outputs, "row {index} of {}", self.outputs);
        assert_eq!(out.len(), self.inputs, "out: not [{}]", self.inputs);
        let columns = self.kernel.shape().columns;
        self.form.row(self.panel(index / columns), index % columns, out);
    }

    /// The form of the panels.
    pub(crate) fn form(&self) -> PanelForm {
        self.form
    }

    /// The cells of a panel.
    pub(crate) fn panel(&self, index: usize) -> &[u32] {
        let cells = self.form.cells();
        &panels::cells(&self.lines)[index * cells..][..cells]
    }

    /// Bytes that weights `T` of this size take on this machine.
    pub fn bytes<T: Element>(outputs: usize, inputs: usize) -> usize {
        let form = PanelForm::new::<T>(Kernel::choose::<T>(Isa::detect()), inputs);
        form.panels(outputs) * form.cells() * size_of::<u32>()
    }

    /// Bytes that these weights take.
    pub fn held(&self) -> usize {
        size_of_val(&*self.lines)
    }

    /// Panics when rows of `T` cannot be multiplied by weights that were packed as bf16.
    pub(crate) fn check_rows<T: Element>(&self) {
        assert!(T::HALF || !self.form.half(), "weights are packed as bf16, rows are f32");
    }

    /// Length of a row of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Length of a row of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

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
        self.product(x, None, epilogue, out)
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
        norm.check(self.inputs);
        self.product(x, Some(norm), epilogue, out)
    }

    fn product<'o, T: Element>(
        &self,
        x: &[T],
        norm: Option<&Norm<'_, T>>,
        epilogue: &Epilogue<'_, T>,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        let Shape { height, pairs, .. } = self.kernel.shape();
        self.check_rows::<T>();
        if self.outputs == 0 {
            assert!(out.is_empty(), "out: not [rows, 0]");
            return &mut [];
        }
        let rows = out.len() / self.outputs;
        assert_eq!(out.len(), rows * self.outputs, "out: not [rows, {}]", self.outputs);
        assert_eq!(x.len(), rows * self.inputs, "x: not [{rows}, {}]", self.inputs);
        epilogue.check(rows, self.outputs);
        let slab = SLAB / panels::steps(self.inputs, pairs).max(1);
        let slab = slab.next_multiple_of(height).max(height);
        // The calling thread's memory of the last call. Taken, not borrowed: a thread that waits may begin another
        // product.
        thread_local!(static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) });
        let mut scratch = SCRATCH.take();
        for start in (0..rows).step_by(slab) {
            let end = rows.min(start + slab);
            let count = packing::cells(self.kernel, end - start, self.inputs);
            let cells = &mut panels::cells_mut(room(&mut scratch, count))[..count];
            packing::pack(self.kernel, &x[start * self.inputs..end * self.inputs], self.inputs, norm, cells);
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
        let Shape { height, columns, pairs } = self.kernel.shape();
        let steps = panels::steps(self.inputs, pairs);
        let (tiles, panels) = (rows.len().div_ceil(height), self.outputs.div_ceil(columns));
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
            unsafe { self.kernel.run(&block) }
        });
    }

    /// Which tile reads the panels.
    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel
    }
}

/// What is multiplied by the weights, and what follows.
pub(crate) struct Product<'a, T> {
    /// The [`cells`](packing::cells) of `rows`.
    pub x: &'a [u32],
    pub rows: Range<usize>,
    /// Checked for these rows.
    pub epilogue: Epilogue<'a, T>,
    /// Other weights of the same size and kernel, and their bias, checked too: the result is multiplied by their
    /// product with the same rows.
    pub up: Option<(&'a Packed, Option<&'a [T]>)>,
    /// With a place for every number.
    pub results: Results<T>,
}
