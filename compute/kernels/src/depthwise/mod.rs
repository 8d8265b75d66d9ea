//! Depthwise convolution over channels-last maps, and the LayerNorm over channels that follows it.
//!
//! A task takes one vector of channels through a part of a map: it copies them out, with the zeros of the border, and
//! holds the sums of neighbouring pixels in registers along all taps. The norm needs all channels, so it runs over the
//! pixels when they are done, a few maps' rows later, while they are in the cache. Every output is one chain of
//! additions, the bias and then the taps row by row: so neither the batch nor the threads matter.
//!
//! Where there are instructions for pairs of bf16, a cell holds a number and the one below it, and two rows of taps are
//! taken at once. Their number is odd: the last two begin at the last row but one, with zeros for the taps that were
//! taken already. So no output touches a number outside its window, which might not be finite.

mod patch;

use std::cell::Cell;

use rayon::prelude::*;

use crate::element::Element;
use crate::isa::Isa;
use crate::lanes::{self, LANES};
use crate::norm::{Norm, Rows};
use crate::out::{Out, Slot, filled};
use crate::panels::{self, Line, room};
use patch::{Patch, TILE};

/// Most rows and columns of a task: each is copied with its border, and the rows under the taps stay in the first-level
/// cache.
const ROWS: usize = 16;
const COLUMNS: usize = 40;
/// Fewest rows of a task, whatever the sums take.
const FEWEST: usize = 4;
/// Sums that wait for the norm: what the second-level caches of a few cores hold.
const SUMS: usize = 512 << 10;
/// Fewest sums that a task normalises.
const TASK: usize = 8 << 10;

/// A depthwise convolution of stride 1 with an odd square kernel and zero padding that keeps the size.
#[derive(Debug, Clone)]
pub struct Depthwise {
    /// `[groups][steps][kernel]`: a cell for each of [`LANES`] channels, zeros beyond the last.
    taps: Vec<Line>,
    /// `[groups · LANES]`.
    bias: Vec<f32>,
    kernel: usize,
    channels: usize,
    /// Whether the taps are for maps of `bf16` only.
    half: bool,
    /// Whether a cell is two `bf16`, one below the other, and a step two rows.
    pairs: bool,
    /// The highest instructions that are used.
    isa: Isa,
}

/// The size of channels-last maps `[images, height, width, C]`.
#[derive(Debug, Clone, Copy)]
pub struct Maps {
    /// How many.
    pub images: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Depthwise {
    /// From `weight` `[C, kernel, kernel]` and `bias` `[C]`, for maps of `T`; those of `f32` take any maps.
    ///
    /// # Panics
    /// When the kernel is even or `weight` has another length.
    pub fn new<T: Element>(weight: &[T], bias: &[T], kernel: usize) -> Self {
        Self::at_most(Isa::Avx512Bf16, weight, bias, kernel)
    }

    /// As [`Depthwise::new`], for no higher instructions than these; to compare them.
    ///
    /// # Panics
    /// As [`Depthwise::new`].
    pub fn at_most<T: Element>(isa: Isa, weight: &[T], bias: &[T], kernel: usize) -> Self {
        let isa = isa.min(Isa::detect());
        let (channels, area) = (bias.len(), kernel * kernel);
        assert!(kernel % 2 == 1, "the side of the kernel is {kernel}, which is even");
        assert_eq!(weight.len(), channels * area, "weights: not [{channels}, {kernel}, {kernel}]");
        // Two rows of taps need two rows.
        let pairs = T::HALF && isa == Isa::Avx512Bf16 && kernel > 1;
        let padded = channels.next_multiple_of(LANES);
        let steps = panels::steps(kernel, pairs);
        let mut taps = vec![Line([0; LANES]); padded / LANES * steps * kernel];
        for (c, weight) in weight.chunks_exact(area).enumerate() {
            let group = &mut taps[c / LANES * steps * kernel..][..steps * kernel];
            for (tap, cell) in group.iter_mut().enumerate() {
                let (step, column) = (tap / kernel, tap % kernel);
                let below = 2 * step + 1;
                cell.0[c % LANES] = if !pairs {
                    weight[tap].widen().to_bits()
                } else if below < kernel {
                    T::pair(weight[(below - 1) * kernel + column], weight[below * kernel + column])
                } else {
                    T::pair(T::round(0.0), weight[(kernel - 1) * kernel + column])
                };
            }
        }
        let mut bias: Vec<f32> = bias.iter().map(|x| x.widen()).collect();
        bias.resize(padded, 0.0);
        Self { taps, bias, kernel, channels, half: T::HALF, pairs, isa }
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The weights `[C, kernel, kernel]` and the bias `[C]` again.
    pub fn parameters(&self) -> (Vec<f32>, &[f32]) {
        let (kernel, steps) = (self.kernel, self.steps());
        let weight = (0..self.channels * kernel * kernel).map(|i| {
            let (c, row, column) = (i / (kernel * kernel), i / kernel % kernel, i % kernel);
            let step = if self.pairs { row / 2 } else { row };
            let cell = self.taps[(c / LANES * steps + step) * kernel + column].0[c % LANES];
            f32::from_bits(match (self.pairs, row % 2) {
                (true, 0) if row + 1 < kernel => cell << 16,
                (true, _) => cell & 0xffff_0000,
                (false, _) => cell,
            })
        });
        (weight.collect(), &self.bias[..self.channels])
    }

    /// Convolves `x` and writes the result, after `norm` if there is one, to `out`, and returns it; both channels-last
    /// of this size. Runs on the threads of rayon. A number that is not finite makes the outputs under whose taps it
    /// lies not finite, and no others.
    ///
    /// # Panics
    /// When a length does not fit, or for maps of `f32` when made for `bf16`.
    pub fn apply<'o, T: Element>(
        &self,
        x: &[T],
        maps: Maps,
        norm: Option<Norm<'_, T>>,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        let Maps { images, height, width } = maps;
        let (channels, padded) = (self.channels, self.bias.len());
        assert_eq!(x.len(), images * height * width * channels, "x: not {maps:?} of {channels}");
        assert_eq!(out.len(), x.len(), "x and out");
        assert!(T::HALF || !self.half, "taps are for maps of bf16, maps are f32");
        if let Some(norm) = norm {
            norm.check(channels);
        }
        if x.is_empty() {
            return &mut [];
        }
        let most = (SUMS / (width * padded)).clamp(FEWEST, ROWS);
        let bands = height.div_ceil(most);
        let rows = height.div_ceil(bands);
        let bands = height.div_ceil(rows);
        let columns = width.div_ceil(width.div_ceil(COLUMNS)).next_multiple_of(TILE);
        let (segments, groups) = (width.div_ceil(columns), padded / LANES);
        // A band as the map that it is of, its first row there, and its first pixel of all.
        let band = |index: usize| {
            let (image, top) = (index / bands, index % bands * rows);
            (image, top, (image * height + top) * width)
        };
        // The calling thread's memory of the last call. Taken, not borrowed: a thread that waits may begin another.
        thread_local!(static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) });
        let mut scratch = SCRATCH.take();
        let part = (SUMS / (rows * width * padded)).max(1);
        for first in (0..images * bands).step_by(part) {
            let last = (first + part).min(images * bands);
            let (start, end) = (band(first).2, band(last).2);
            let sums =
                &mut panels::floats_mut(room(&mut scratch, (end - start) * padded))[..(end - start) * padded];
            let places = Out::new(sums);
            (0..(last - first) * segments * groups).into_par_iter().with_max_len(8).for_each(|task| {
                let (index, rest) = (first + task / (segments * groups), task % (segments * groups));
                let ((image, top, pixel), left) = (band(index), rest / groups * columns);
                let patch = Patch {
                    conv: self,
                    x: &x[image * height * width * channels..][..height * width * channels],
                    maps,
                    rows: (top, rows.min(height - top)),
                    columns: (left, columns.min(width - left)),
                    group: rest % groups,
                    sums: places,
                    start: pixel - start + left,
                };
                lanes::run_at_most(self.isa, patch);
            });
            let pixels = TASK.div_ceil(padded);
            let out = out[start * channels..end * channels].par_chunks_mut(pixels * channels);
            out.zip(sums.par_chunks(pixels * padded)).for_each(|(out, sums)| match &norm {
                Some(norm) => lanes::run_at_most(self.isa, Rows { norm, x: sums, stride: padded, out }),
                None => {
                    for (sums, out) in sums.chunks_exact(padded).zip(out.chunks_exact_mut(channels)) {
                        out.iter_mut().zip(sums).for_each(|(out, &x)| out.put(T::round(x)));
                    }
                }
            });
        }
        SCRATCH.set(scratch);
        // SAFETY: the bands are all pixels, which were written when a part of them was done.
        unsafe { filled(out) }
    }

    fn steps(&self) -> usize {
        panels::steps(self.kernel, self.pairs)
    }
}
