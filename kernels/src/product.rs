//! Products with packed weights.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use crate::element::Element;
use crate::epilogue::Epilogue;
use crate::isa::Isa;
use crate::kernel::{Kernel, Shape};
use crate::norm::Norm;
use crate::out::Out;
use crate::packing;
use crate::pages;
use crate::panels::{self, LINE, Line, room};
use crate::results::{Finished, Results};
use crate::tile::{Job, ROWS, Tile};

/// Most cells of activations that are packed at a time.
const SLAB: usize = 2 << 20;
/// Blocks of work for each thread: enough to even out threads of unequal speed.
const BLOCKS_PER_THREAD: usize = 16;

/// The weights of a linear map, `[outputs, inputs]`, in the form that this machine's tiles read: 4 bytes for each
/// of them, 2 bytes for `bf16` where there are instructions for it. (Elsewhere `bf16` is widened.)
#[derive(Debug)]
pub struct Packed {
    kernel: Kernel,
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
        let Shape { columns, pairs, .. } = kernel.shape();
        let panel = panels::steps(inputs, pairs) * columns;
        let count = outputs.div_ceil(columns) * panel / LINE;
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
            panels::pack(panels::cells_mut(panel), columns, rows, inputs, pairs);
        });
        // SAFETY: the chunks cover `count` lines, each of which was filled.
        unsafe { lines.set_len(count) };
        Self { kernel, outputs, inputs, lines }
    }

    /// The weights again, `[outputs, inputs]`; exact when `T` is what was packed.
    pub fn unpack<T: Element>(&self) -> Vec<T> {
        let Shape { columns, pairs, .. } = self.kernel.shape();
        let panel = panels::steps(self.inputs, pairs) * columns;
        let mut weight = vec![T::round(0.0); self.outputs * self.inputs];
        let cells = panels::cells(&self.lines).par_chunks(panel.max(1));
        weight.par_chunks_mut((columns * self.inputs).max(1)).zip(cells).for_each(|(rows, panel)| {
            panels::unpack(panel, columns, rows, self.inputs, pairs);
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
        let Shape { columns, pairs, .. } = self.kernel.shape();
        let panel = panels::steps(self.inputs, pairs) * columns;
        let cells = &panels::cells(&self.lines)[index / columns * panel..][..panel];
        panels::unpack_row(cells, columns, index % columns, out, pairs);
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
    /// `[rows, outputs]`. Runs on the threads of rayon. A row depends on nothing but that row, bit by bit.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply<T: Element>(&self, x: &[T], epilogue: &Epilogue<'_, T>, out: &mut [T]) {
        self.product(x, None, epilogue, out);
    }

    /// As [`Packed::apply`] of the normalised rows of `x`, which are never in memory: the same bits as of
    /// [`Norm::apply`].
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply_normed<T: Element>(
        &self,
        x: &[T],
        norm: &Norm<'_, T>,
        epilogue: &Epilogue<'_, T>,
        out: &mut [T],
    ) {
        norm.check(self.inputs);
        self.product(x, Some(norm), epilogue, out);
    }

    fn product<T: Element>(
        &self,
        x: &[T],
        norm: Option<&Norm<'_, T>>,
        epilogue: &Epilogue<'_, T>,
        out: &mut [T],
    ) {
        if self.outputs == 0 {
            return;
        }
        let rows = out.len() / self.outputs;
        assert_eq!(out.len(), rows * self.outputs, "out: not [rows, {}]", self.outputs);
        assert_eq!(x.len(), rows * self.inputs, "x: not [{rows}, {}]", self.inputs);
        epilogue.check(rows, self.outputs);
        let Shape { height, pairs, .. } = self.kernel.shape();
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
            // SAFETY: lengths were checked above.
            unsafe { self.multiply(cells, start..end, epilogue, &Results::Rows(Out::new(out))) };
        }
        SCRATCH.set(scratch);
    }

    /// The product of `rows`, packed as `x`, followed by `epilogue`.
    ///
    /// # Safety
    /// `x` are the [`cells`](packing::cells) of so many rows, `results` have a place for all of them, and `epilogue`
    /// was checked for them.
    pub(crate) unsafe fn multiply<T: Element>(
        &self,
        x: &[u32],
        rows: Range<usize>,
        epilogue: &Epilogue<'_, T>,
        results: &Results<T>,
    ) {
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
            let rows = rows.clone();
            let block = Block { packed: self, steps, height, x, rows, tiles, panel, epilogue, results };
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

/// What one task computes: some tiles of rows, by one panel of outputs.
struct Block<'a, T> {
    packed: &'a Packed,
    steps: usize,
    /// Rows of a tile, but for the last.
    height: usize,
    /// The packed rows.
    x: &'a [u32],
    rows: Range<usize>,
    tiles: Range<usize>,
    panel: usize,
    epilogue: &'a Epilogue<'a, T>,
    results: &'a Results<T>,
}

impl<T: Element> Job for Block<'_, T> {
    /// Writes its outputs.
    ///
    /// # Safety
    /// That of [`Job::run`]; `x` holds the tiles, the weights the panel, for this kernel; `results` have places for
    /// the rows, and nobody else uses those of this block.
    #[inline(always)]
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self) {
        #[repr(align(64))]
        struct Sums<const COLUMNS: usize>([[f32; COLUMNS]; ROWS]);
        let outputs = self.packed.outputs;
        let first = self.panel * COLUMNS;
        let columns = COLUMNS.min(outputs - first);
        let epilogue = self.epilogue.columns::<COLUMNS>(outputs, first);
        let weights = &panels::cells(&self.packed.lines)[self.panel * self.steps * COLUMNS..];
        let mut sums = Sums([[0.0; COLUMNS]; ROWS]);
        for tile in self.tiles.clone() {
            let x = &self.x[tile * self.steps * self.height..];
            let rows = x.len().checked_div(self.steps).unwrap_or(self.height);
            let height = self.height.min(rows);
            let x = x[..self.steps * height].as_ptr();
            let (steps, w) = (self.steps, weights[..self.steps * COLUMNS].as_ptr());
            let to = sums.0.as_mut_ptr();
            // SAFETY: the slices hold that much; panels begin on cache lines, their length being whole lines.
            unsafe {
                match height {
                    1 => K::few::<1>(steps, x, w, to),
                    2 => K::few::<2>(steps, x, w, to),
                    4 => K::few::<4>(steps, x, w, to),
                    8 => K::few::<8>(steps, x, w, to),
                    _ => K::sums(steps, x, w, to),
                }
            };
            let row = self.rows.start + tile * self.height;
            let live = height.min(self.rows.end - row);
            for (row, sums) in (row..).zip(&mut sums.0[..live]) {
                epilogue.finish::<K::Arithmetic>(row, sums);
            }
            let sums = &sums.0[..height];
            // SAFETY: the caller's; the places are this block's alone.
            unsafe {
                match self.results {
                    Results::Rows(out) => {
                        for (row, sums) in (row..).zip(&sums[..live]) {
                            let out = out.slice(row * outputs + first, columns);
                            if let Some(out) = out.first_chunk_mut::<COLUMNS>() {
                                K::round(sums, out);
                            } else {
                                out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = T::round(sum));
                            }
                        }
                    }
                    Results::Panels(panels) => {
                        panels.write::<K, T, COLUMNS>(Finished { tile, sums, live, first });
                    }
                }
            }
        }
    }
}
