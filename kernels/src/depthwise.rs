//! Depthwise convolution over channels-last maps, and the LayerNorm over channels that follows it.
//!
//! A task takes one vector of channels through a part of a map: it copies them out, with the zeros of the border, and
//! holds the sums of neighbouring pixels in registers along all taps. The norm needs all channels, so it runs over the
//! pixels when they are done, a few maps' rows later, while they are in the cache. Every output is one chain of
//! additions, the bias and then the taps row by row: so neither the batch nor the threads matter.
//!
//! Where there are instructions for pairs of bf16, a cell holds a number and the one below it, and two rows of taps are
//! taken at once.

use std::cell::Cell;

use rayon::prelude::*;

use crate::element::Element;
use crate::isa::Isa;
use crate::lanes::{self, LANES, Lanes, Work};
use crate::norm::{Norm, Rows};
use crate::out::{Out, Place, filled};
use crate::panels::{self, Line, room};

/// Most rows and columns of a task: each is copied with its border, and the rows under the taps stay in the first-level
/// cache.
const ROWS: usize = 16;
const COLUMNS: usize = 40;
/// Fewest rows of a task, whatever the sums take.
const FEWEST: usize = 4;
/// Neighbouring outputs whose sums are held in registers; the rest of a row takes [`REST`] at a time.
const TILE: usize = 8;
const REST: usize = 4;
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
    /// Whether a cell is two `bf16`, one below the other, and a step two rows.
    pairs: bool,
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
        let (channels, area) = (bias.len(), kernel * kernel);
        assert!(kernel % 2 == 1, "the side of the kernel is {kernel}, which is even");
        assert_eq!(weight.len(), channels * area, "weights: not [{channels}, {kernel}, {kernel}]");
        let pairs = T::HALF && Isa::detect() == Isa::Avx512Bf16;
        let padded = channels.next_multiple_of(LANES);
        let steps = panels::steps(kernel, pairs);
        let mut taps = vec![Line([0; LANES]); padded / LANES * steps * kernel];
        for (c, weight) in weight.chunks_exact(area).enumerate() {
            let group = &mut taps[c / LANES * steps * kernel..][..steps * kernel];
            for (tap, cell) in group.iter_mut().enumerate() {
                let (step, column) = (tap / kernel, tap % kernel);
                cell.0[c % LANES] = if pairs {
                    let below = weight.get((2 * step + 1) * kernel + column).copied();
                    T::pair(weight[2 * step * kernel + column], below.unwrap_or(T::round(0.0)))
                } else {
                    weight[tap].widen().to_bits()
                };
            }
        }
        let mut bias: Vec<f32> = bias.iter().map(|x| x.widen()).collect();
        bias.resize(padded, 0.0);
        Self { taps, bias, kernel, channels, pairs }
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
                (true, 0) => cell << 16,
                (true, _) => cell & 0xffff_0000,
                (false, _) => cell,
            })
        });
        (weight.collect(), &self.bias[..self.channels])
    }

    /// Convolves `x` and writes the result, after `norm` if there is one, to `out`, and returns it; both channels-last
    /// of this size. Runs on the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit, or for maps of `f32` when made for `bf16`.
    pub fn apply<'o, T: Element>(
        &self,
        x: &[T],
        maps: Maps,
        norm: Option<Norm<'_, T>>,
        out: &'o mut [impl Place<T>],
    ) -> &'o mut [T] {
        let Maps { images, height, width } = maps;
        let (channels, padded) = (self.channels, self.bias.len());
        assert_eq!(x.len(), images * height * width * channels, "x: not {maps:?} of {channels}");
        assert_eq!(out.len(), x.len(), "x and out");
        assert!(T::HALF || !self.pairs, "taps are pairs of bf16, maps are f32");
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
                lanes::run(Patch {
                    conv: self,
                    x: &x[image * height * width * channels..][..height * width * channels],
                    maps,
                    rows: (top, rows.min(height - top)),
                    columns: (left, columns.min(width - left)),
                    group: rest % groups,
                    sums: places,
                    start: pixel - start + left,
                });
            });
            let pixels = TASK.div_ceil(padded);
            let out = out[start * channels..end * channels].par_chunks_mut(pixels * channels);
            out.zip(sums.par_chunks(pixels * padded)).for_each(|(out, sums)| match &norm {
                Some(norm) => lanes::run(Rows { norm, x: sums, stride: padded, out }),
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

/// Some rows and columns of one map, each as start and length, in a vector of channels.
struct Patch<'a, T> {
    conv: &'a Depthwise,
    /// The map.
    x: &'a [T],
    maps: Maps,
    rows: (usize, usize),
    columns: (usize, usize),
    group: usize,
    /// `[pixels][padded channels]`.
    sums: Out<f32>,
    /// The pixel of the first sum.
    start: usize,
}

impl<T: Element> Work for Patch<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        // The thread's memory of the last task.
        thread_local!(static SCRATCH: Cell<Vec<Line>> = const { Cell::new(Vec::new()) });
        let mut scratch = SCRATCH.take();
        if self.conv.pairs {
            self.convolve::<L, true>(&mut scratch);
        } else {
            self.convolve::<L, false>(&mut scratch);
        }
        SCRATCH.set(scratch);
    }
}

impl<T: Element> Patch<'_, T> {
    #[inline(always)]
    fn convolve<L: Lanes, const PAIRS: bool>(&self, scratch: &mut Vec<Line>) {
        let ((_, height), (_, width)) = (self.rows, self.columns);
        let border = self.conv.kernel - 1;
        let stride = width.next_multiple_of(REST) + border;
        let cells = room(scratch, stride * (height + border) * LANES);
        self.copy::<L, PAIRS>(stride, cells);
        for row in 0..height {
            let (cells, pixel) = (&cells[row * stride..], self.start + row * self.maps.width);
            let mut column = 0;
            while column + TILE <= width {
                self.tile::<L, PAIRS, TILE>(&cells[column..], stride, pixel + column, TILE);
                column += TILE;
            }
            while column < width {
                self.tile::<L, PAIRS, REST>(
                    &cells[column..],
                    stride,
                    pixel + column,
                    REST.min(width - column),
                );
                column += REST;
            }
        }
    }

    /// Fills `[rows + k - 1][stride]` cells for each channel: what lies under the kernel, zeros outside the map.
    #[inline(always)]
    fn copy<L: Lanes, const PAIRS: bool>(&self, stride: usize, cells: &mut [Line]) {
        let (border, channels) = (self.conv.kernel - 1, self.conv.channels);
        let (left, width) = self.columns;
        let first = self.group * LANES;
        let live = LANES.min(channels - first);
        let begin = (border / 2).saturating_sub(left);
        let end = (width + border).min(self.maps.width + border / 2 - left);
        // The first channel of the first pixel that is copied, of a row of the map.
        let line = |y: Option<usize>| {
            let y = y.filter(|&y| y < self.maps.height)?;
            Some(&self.x[(y * self.maps.width + left + begin - border / 2) * channels + first..])
        };
        let outside = [T::round(0.0); LANES];
        for (row, cells) in cells.chunks_exact_mut(stride).enumerate() {
            let y = self.rows.0 + row;
            let low = line(y.checked_sub(border / 2));
            let high = if PAIRS { line((y + 1).checked_sub(border / 2)) } else { None };
            if low.is_none() && high.is_none() {
                cells.fill(Line([0; LANES]));
                continue;
            }
            cells[..begin].fill(Line([0; LANES]));
            cells[end..].fill(Line([0; LANES]));
            // Rows outside are one pixel of zeros, again and again.
            let [(low, low_step), (high, high_step)] =
                [low, high].map(|line| line.map_or((&outside[..], 0), |line| (line, channels)));
            let cells = &mut cells[begin..end];
            if live < LANES {
                for (i, cells) in cells.iter_mut().enumerate() {
                    cells.0[live..].fill(0);
                    let numbers = low[i * low_step..].iter().zip(&high[i * high_step..]);
                    for (cell, (&low, &high)) in cells.0[..live].iter_mut().zip(numbers) {
                        *cell = if PAIRS { T::pair(low, high) } else { low.widen().to_bits() };
                    }
                }
                continue;
            }
            let last = cells.len() - 1;
            assert!(low.len() >= last * low_step + LANES && high.len() >= last * high_step + LANES);
            for (i, cells) in cells.iter_mut().enumerate() {
                // SAFETY: all are vectors, the last ones as was checked; what becomes pairs is bf16.
                unsafe {
                    let (low, high) = (low.as_ptr().add(i * low_step), high.as_ptr().add(i * high_step));
                    let x = if PAIRS { L::pairs(low.cast(), high.cast()) } else { L::load(low) };
                    x.store(cells.0.as_mut_ptr().cast::<f32>());
                }
            }
        }
    }

    /// The sums of `N` neighbouring pixels, of which `live` exist, the first being number `pixel`. `cells` begins at
    /// the corner of its window.
    #[inline(always)]
    fn tile<L: Lanes, const PAIRS: bool, const N: usize>(
        &self,
        cells: &[Line],
        stride: usize,
        pixel: usize,
        live: usize,
    ) {
        let Depthwise { kernel, ref taps, ref bias, .. } = *self.conv;
        let (steps, padded, first) = (self.conv.steps(), bias.len(), self.group * LANES);
        let taps = &taps[self.group * steps * kernel..][..steps * kernel];
        let down = if PAIRS { 2 } else { 1 };
        assert!(cells.len() >= (steps - 1) * down * stride + N + kernel - 1 && live <= N);
        // SAFETY: a line is a vector; the last one that is read lies inside, as was checked; the sums of these pixels and
        // channels are this task's alone.
        unsafe {
            let mut sums = [L::load(bias[first..][..LANES].as_ptr()); N];
            for step in 0..steps {
                let (mut cells, mut taps) =
                    (cells.as_ptr().add(step * down * stride), taps.as_ptr().add(step * kernel));
                let mut left = kernel;
                while left > 0 {
                    let count = match left {
                        7.. => along::<L, PAIRS, 7, N>(cells, taps, &mut sums),
                        3.. => along::<L, PAIRS, 3, N>(cells, taps, &mut sums),
                        _ => along::<L, PAIRS, 1, N>(cells, taps, &mut sums),
                    };
                    (cells, taps, left) = (cells.add(count), taps.add(count), left - count);
                }
            }
            for (i, sums) in sums.into_iter().enumerate().take(live) {
                sums.store(self.sums.slice((pixel + i) * padded + first, LANES).as_mut_ptr());
            }
        }
    }
}

/// Adds what `K` neighbouring taps contribute to `N` neighbouring sums; returns how many taps these were.
///
/// # Safety
/// `cells` points to `N + K - 1` lines, `taps` to `K`.
#[inline(always)]
unsafe fn along<L: Lanes, const PAIRS: bool, const K: usize, const N: usize>(
    cells: *const Line,
    taps: *const Line,
    sums: &mut [L; N],
) -> usize {
    for k in 0..K {
        // SAFETY: the caller's.
        unsafe {
            let tap = L::load(taps.add(k).cast::<f32>());
            for (i, sum) in sums.iter_mut().enumerate() {
                let x = L::load(cells.add(i + k).cast::<f32>());
                *sum = if PAIRS { x.dot(tap, *sum) } else { x.mul_add(tap, *sum) };
            }
        }
    }
    K
}
