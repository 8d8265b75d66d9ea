//! Matrices of quantised weights and products with them.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::activations::{self, HEIGHT, height, quantise};
use super::form::{Form, LINE};
use super::format::{Format, of};
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{COLUMNS, Job, Lanes, Portable};
use crate::arithmetic::Apart;
use crate::element::Element;
use crate::epilogue::Epilogue;
use crate::isa::Isa;
use crate::out::Out;
use crate::panels::Line;

/// Most words of activations at a time: they should stay in the second-level cache while the weights pass.
const SLAB: usize = 192 << 10;
/// Blocks of work for each thread: enough to even out threads of unequal speed.
const BLOCKS_PER_THREAD: usize = 16;

/// The weights of a linear map, `[outputs, inputs]`, in blocks of one format: as many bytes as in a file, but for
/// the rows that fill up the last panel of 16.
pub struct Quantised {
    format: Format,
    instructions: Instructions,
    outputs: usize,
    inputs: usize,
    lines: Vec<Line>,
}

/// Which vectors multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Instructions {
    #[cfg(target_arch = "x86_64")]
    fn choose(most: Isa) -> Self {
        match most.min(Isa::detect()) {
            Isa::Avx512Vnni | Isa::Avx512Bf16 => Self::Avx512,
            Isa::Avx2 | Isa::Avx512 => Self::Avx2,
            Isa::Portable => Self::Portable,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn choose(_: Isa) -> Self {
        Self::Portable
    }
}

impl std::fmt::Debug for Quantised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Quantised({:?}, [{}, {}])", self.format, self.outputs, self.inputs)
    }
}

impl Quantised {
    /// Quantises `[outputs, inputs]` weights, `rows` being asked to write those from a first row on, whole rows, to
    /// a slice; on several threads.
    ///
    /// # Panics
    /// When a row is not a whole number of blocks.
    pub fn encode(
        format: Format,
        outputs: usize,
        inputs: usize,
        rows: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        Self::packed(format, outputs, inputs, |first, count, blocks| {
            let mut weights = vec![0.0; count * inputs];
            rows(first, &mut weights);
            format.encode(&weights, blocks);
        })
    }

    /// From blocks as files hold them, `block` being asked for the bytes of a row.
    ///
    /// # Panics
    /// When a row is not a whole number of blocks, or has another number of bytes.
    pub fn from_blocks<'a>(
        format: Format,
        outputs: usize,
        inputs: usize,
        row: impl Fn(usize) -> &'a [u8] + Sync,
    ) -> Self {
        let bytes = format.row_bytes(inputs);
        Self::packed(format, outputs, inputs, |first, count, blocks| {
            for (i, blocks) in blocks.chunks_exact_mut(bytes.max(1)).take(count).enumerate() {
                blocks.copy_from_slice(row(first + i));
            }
        })
    }

    /// `blocks` writes those of some rows from a first one on.
    fn packed(
        format: Format,
        outputs: usize,
        inputs: usize,
        blocks: impl Fn(usize, usize, &mut [u8]) + Sync,
    ) -> Self {
        assert!(inputs.is_multiple_of(format.block_length()), "{inputs} inputs: not whole blocks");
        let panel = of!(format, F => panel_lines::<F>(inputs));
        let mut lines = vec![Line([0; LINE / 4]); outputs.div_ceil(COLUMNS) * panel];
        let bytes = format.row_bytes(inputs);
        lines.par_chunks_mut(panel.max(1)).enumerate().for_each(|(p, panel)| {
            let (first, count) = (p * COLUMNS, COLUMNS.min(outputs - p * COLUMNS));
            let mut rows = vec![0; count * bytes];
            blocks(first, count, &mut rows);
            let panel = bytes_mut(panel);
            of!(format, F => for (r, row) in rows.chunks_exact(bytes.max(1)).enumerate() {
                let (bodies, tails) = panel.split_at_mut(inputs / F::LENGTH * F::LINES * LINE);
                for (b, block) in row.chunks_exact(F::BYTES).enumerate() {
                    let body = &mut bodies[b * F::LINES * LINE..][..F::LINES * LINE];
                    F::pack(block, r, body, &mut tails[b * F::TAIL..][..F::TAIL]);
                }
            });
        });
        Self { format, instructions: Instructions::choose(Isa::Avx512Bf16), outputs, inputs, lines }
    }

    /// The same weights, multiplied by no higher instructions than these; to compare them.
    #[must_use]
    pub fn at_most(self, isa: Isa) -> Self {
        Self { instructions: Instructions::choose(isa), ..self }
    }

    /// Bytes that weights of this size take.
    ///
    /// # Panics
    /// When a row is not a whole number of blocks.
    pub fn bytes(format: Format, outputs: usize, inputs: usize) -> usize {
        assert!(inputs.is_multiple_of(format.block_length()), "{inputs} inputs: not whole blocks");
        outputs.div_ceil(COLUMNS) * of!(format, F => panel_lines::<F>(inputs)) * LINE
    }

    /// The format of the blocks.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Length of a row of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Length of a row of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The blocks of all rows again, as files hold them.
    pub fn blocks(&self) -> Vec<u8> {
        let bytes = self.format.row_bytes(self.inputs);
        let mut blocks = vec![0; self.outputs * bytes];
        if blocks.is_empty() {
            return blocks;
        }
        let panel = of!(self.format, F => panel_lines::<F>(self.inputs));
        blocks.par_chunks_mut(COLUMNS * bytes).zip(self.lines.par_chunks(panel)).for_each(|(rows, panel)| {
            let panel = self::bytes(panel);
            of!(self.format, F => for (r, row) in rows.chunks_exact_mut(bytes).enumerate() {
                let (bodies, tails) = panel.split_at(self.inputs / F::LENGTH * F::LINES * LINE);
                for (b, block) in row.chunks_exact_mut(F::BYTES).enumerate() {
                    let body = &bodies[b * F::LINES * LINE..][..F::LINES * LINE];
                    F::unpack(body, &tails[b * F::TAIL..][..F::TAIL], r, block);
                }
            });
        });
        blocks
    }

    /// The weights, `[outputs, inputs]`, as the blocks have them.
    pub fn decode(&self) -> Vec<f32> {
        let bytes = self.format.row_bytes(self.inputs);
        let mut weights = vec![0.0; self.outputs * self.inputs];
        let rows = weights.par_chunks_mut(self.inputs.max(1));
        rows.zip(self.blocks().par_chunks(bytes.max(1)))
            .for_each(|(row, blocks)| self.format.decode(blocks, row));
        weights
    }

    /// Writes the product of `x`, `[rows, inputs]`, quantised, and the transposed weights, followed by `epilogue`,
    /// to `out`, `[rows, outputs]`. Runs on the threads of rayon. A row depends on nothing but that row, and is the
    /// same on every machine, bit by bit.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply<T: Element>(&self, x: &[T], epilogue: &Epilogue<'_, T>, out: &mut [T]) {
        if self.outputs == 0 {
            return;
        }
        let rows = out.len() / self.outputs;
        assert_eq!(out.len(), rows * self.outputs, "out: not [rows, {}]", self.outputs);
        assert_eq!(x.len(), rows * self.inputs, "x: not [{rows}, {}]", self.inputs);
        epilogue.check(rows, self.outputs);
        of!(self.format, F => match self.instructions {
            Instructions::Portable => self.run::<Portable, F, T>(x, rows, epilogue, out),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => self.run::<Avx2, F, T>(x, rows, epilogue, out),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => self.run::<Avx512, F, T>(x, rows, epilogue, out),
        });
    }

    fn run<L: Lanes, F: Form, T: Element>(
        &self,
        x: &[T],
        rows: usize,
        epilogue: &Epilogue<'_, T>,
        out: &mut [T],
    ) {
        // The calling thread's memory of the last call. Taken, not borrowed: a thread that waits may begin another
        // product.
        thread_local!(static SCRATCH: Cell<Vec<i32>> = const { Cell::new(Vec::new()) });
        let mut scratch = SCRATCH.take();
        let out = Out::new(out);
        let words = activations::words::<F>(self.inputs);
        let slab = (SLAB / words.max(1)).next_multiple_of(HEIGHT).max(HEIGHT);
        for start in (0..rows).step_by(slab) {
            let end = rows.min(start + slab);
            scratch.resize(((end - start) * words).max(scratch.len()), 0);
            let x = &x[start * self.inputs..end * self.inputs];
            let chunks = scratch[..(end - start) * words].par_chunks_mut((HEIGHT * words).max(1));
            chunks
                .zip(x.par_chunks((HEIGHT * self.inputs).max(1)))
                .for_each(|(words, x)| quantise::<F, T>(x, self.inputs, words));
            let (panels, chunks) = (self.outputs.div_ceil(COLUMNS), (end - start).div_ceil(HEIGHT));
            let wanted = BLOCKS_PER_THREAD * rayon::current_num_threads();
            // Few rows: neighbouring panels are one task. Many: the rows of a panel are several.
            let (group, run) = (panels.div_ceil(wanted), chunks.div_ceil(wanted.div_ceil(panels)));
            let (groups, runs) = (panels.div_ceil(group), chunks.div_ceil(run));
            (0..groups * runs).into_par_iter().for_each(|task| {
                let (first, chunk) = (task / runs * group, task % runs * run);
                let block = Block {
                    weights: self,
                    form: PhantomData::<F>,
                    words: &scratch,
                    start,
                    rows: start + chunk * HEIGHT..end.min(start + (chunk + run) * HEIGHT),
                    panels: first..panels.min(first + group),
                    epilogue,
                    out,
                };
                // SAFETY: lengths were checked above; each pair of panel and rows is given out once; the vectors
                // were chosen among those whose instructions the machine has.
                unsafe { L::work(&block) };
            });
        }
        SCRATCH.set(scratch);
    }
}

/// Lines of a panel.
fn panel_lines<F: Form>(inputs: usize) -> usize {
    let blocks = inputs / F::LENGTH;
    blocks * F::LINES + (blocks * F::TAIL).div_ceil(LINE)
}

fn bytes(lines: &[Line]) -> &[u8] {
    // SAFETY: a line is its 64 bytes and nothing else.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), lines.len() * LINE) }
}

fn bytes_mut(lines: &mut [Line]) -> &mut [u8] {
    // SAFETY: as above, borrowed exclusively.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * LINE) }
}

/// What one task computes: some rows, by some panels of outputs.
struct Block<'a, F, T> {
    weights: &'a Quantised,
    /// Of the weights.
    form: PhantomData<F>,
    /// The activations of the rows from `start` on.
    words: &'a [i32],
    start: usize,
    /// From a multiple of [`HEIGHT`] after `start` on.
    rows: Range<usize>,
    panels: Range<usize>,
    epilogue: &'a Epilogue<'a, T>,
    out: Out<T>,
}

impl<F: Form, T: Element> Job for Block<'_, F, T> {
    /// Writes its outputs.
    ///
    /// # Safety
    /// That of [`Job::run`]; the weights are of the form `F`; nobody else uses the places of this block in `out`,
    /// `[rows, outputs]`.
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self) {
        for panel in self.panels.clone() {
            let mut row = self.rows.start;
            while row < self.rows.end {
                // SAFETY: the caller's.
                unsafe {
                    match height(self.rows.end - row) {
                        8 => self.tile::<L, 8>(panel, row),
                        4 => self.tile::<L, 4>(panel, row),
                        2 => self.tile::<L, 2>(panel, row),
                        _ => self.tile::<L, 1>(panel, row),
                    }
                }
                row += height(self.rows.end - row);
            }
        }
    }
}

impl<F: Form, T: Element> Block<'_, F, T> {
    /// # Safety
    /// As [`Job::run`] of this job.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const R: usize>(&self, panel: usize, row: usize) {
        let Quantised { outputs, inputs, lines, .. } = self.weights;
        let (blocks, first) = (inputs / F::LENGTH, panel * COLUMNS);
        let words = blocks * F::WORDS;
        let x = &self.words[(row - self.start) * words..][..R * words];
        let length = panel_lines::<F>(*inputs);
        let weights = &lines[panel * length..][..length];
        let mut sums = [[0.0; COLUMNS]; R];
        // SAFETY: the slices hold that much.
        unsafe { F::sums::<L, R>(weights.as_ptr().cast(), blocks, x.as_ptr(), &mut sums) };
        let epilogue = self.epilogue.columns::<COLUMNS>(*outputs, first);
        let columns = COLUMNS.min(outputs - first);
        // SAFETY: every machine has these instructions.
        unsafe { epilogue.finish::<Apart>(row, &mut sums) };
        for (row, sums) in (row..).zip(&sums) {
            // SAFETY: inside `out`, and this block's alone.
            let out = unsafe { self.out.slice(row * outputs + first, columns) };
            out.iter_mut().zip(sums).for_each(|(out, &sum)| *out = T::round(sum));
        }
    }
}
