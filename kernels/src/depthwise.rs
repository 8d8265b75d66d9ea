//! Depthwise convolution over channels-last maps, and the LayerNorm over channels that follows it.
//!
//! A task computes a few rows and columns of the map with all channels, so that the norm finds its numbers in the
//! cache. [`GROUP`] channels at a time are copied out with the zeros of the border, in f32, and every output is one
//! chain of additions: the bias, then the taps row by row. So neither the batch nor the threads matter.

use std::cell::Cell;

use rayon::prelude::*;

use crate::element::Element;
use crate::lanes::{self, LANES, Lanes, Work};
use crate::norm::Norm;
use crate::out::Out;

/// Channels that are computed together.
const GROUP: usize = 2 * LANES;
/// Rows of a task: with a kernel of 7, ten are copied for four that are computed.
const ROWS: usize = 4;
/// Neighbouring outputs whose sums are held in registers; the rest of a row takes [`REST`] at a time.
const TILE: usize = 8;
const REST: usize = 4;
/// Sums of a task, at most, if that leaves it [`TILE`] columns: half of the second-level cache.
const SUMS: usize = 128 << 10;

/// A depthwise convolution of stride 1 with an odd square kernel and zero padding that keeps the size.
#[derive(Debug, Clone)]
pub struct Depthwise {
    /// `[groups][k · k][GROUP]`, zeros beyond the last channel.
    taps: Vec<f32>,
    /// `[groups · GROUP]`.
    bias: Vec<f32>,
    kernel: usize,
    channels: usize,
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
    /// From `weight` `[C, kernel, kernel]` and `bias` `[C]`.
    ///
    /// # Panics
    /// When the kernel is even or `weight` has another length.
    pub fn new(weight: &[f32], bias: &[f32], kernel: usize) -> Self {
        let channels = bias.len();
        assert!(kernel % 2 == 1, "the side of the kernel is {kernel}, which is even");
        assert_eq!(weight.len(), channels * kernel * kernel, "weights: not [{channels}, {kernel}, {kernel}]");
        let padded = channels.next_multiple_of(GROUP);
        let (area, mut taps) = (kernel * kernel, vec![0.0; padded * kernel * kernel]);
        for (c, weight) in weight.chunks_exact(area).enumerate() {
            let group = &mut taps[c / GROUP * GROUP * area..];
            for (tap, &w) in weight.iter().enumerate() {
                group[tap * GROUP + c % GROUP] = w;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(padded, 0.0);
        Self { taps, bias, kernel, channels }
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The weights `[C, kernel, kernel]` and the bias `[C]` again.
    pub fn parameters(&self) -> (Vec<f32>, &[f32]) {
        let area = self.kernel * self.kernel;
        let weight = (0..self.channels * area).map(|i| {
            let (c, tap) = (i / area, i % area);
            self.taps[(c / GROUP * area + tap) * GROUP + c % GROUP]
        });
        (weight.collect(), &self.bias[..self.channels])
    }

    /// Convolves `x` and writes the result, after `norm` if there is one, to `out`; both channels-last of this size.
    /// Runs on the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply<T: Element>(&self, x: &[T], maps: Maps, norm: Option<Norm<'_, T>>, out: &mut [T]) {
        let Maps { images, height, width } = maps;
        assert_eq!(x.len(), images * height * width * self.channels, "x: not {maps:?} of {}", self.channels);
        assert_eq!(out.len(), x.len(), "x and out");
        if let Some(norm) = norm {
            norm.check(self.channels);
        }
        if x.is_empty() {
            return;
        }
        let columns = SUMS / (ROWS * self.bias.len()) / TILE * TILE;
        let columns = columns.max(TILE).min(width.next_multiple_of(REST));
        let (bands, segments) = (height.div_ceil(ROWS), width.div_ceil(columns));
        let out = Out::new(out);
        // The thread's memory of the last task.
        thread_local!(static SCRATCH: Cell<(Vec<f32>, Vec<f32>)> = const { Cell::new((Vec::new(), Vec::new())) });
        (0..images * bands * segments).into_par_iter().for_each(|task| {
            let (image, part) = (task / (bands * segments), task % (bands * segments));
            let (top, left) = (part / segments * ROWS, part % segments * columns);
            let mut scratch = SCRATCH.take();
            lanes::run(Patch {
                conv: self,
                x: &x[image * height * width * self.channels..][..height * width * self.channels],
                maps,
                rows: (top, ROWS.min(height - top)),
                columns: (left, columns.min(width - left)),
                norm,
                scratch: &mut scratch,
                out,
                start: image * height * width,
            });
            SCRATCH.set(scratch);
        });
    }
}

/// A few rows and columns of one map, each as start and length.
struct Patch<'a, T> {
    conv: &'a Depthwise,
    /// The map.
    x: &'a [T],
    maps: Maps,
    rows: (usize, usize),
    columns: (usize, usize),
    norm: Option<Norm<'a, T>>,
    /// Input with its border, `[rows + k - 1][columns + k - 1][GROUP]`, and sums, `[rows][columns][padded channels]`.
    scratch: &'a mut (Vec<f32>, Vec<f32>),
    out: Out<T>,
    /// The first pixel of the map in `out`.
    start: usize,
}

impl<T: Element> Work for Patch<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { conv, columns: (_, width), rows: (_, height), .. } = self;
        let (padded, border) = (conv.bias.len(), conv.kernel - 1);
        let (mut input, mut sums) = std::mem::take(&mut *self.scratch);
        let stride = (width.next_multiple_of(REST) + border) * GROUP;
        input.clear();
        input.resize(stride * (height + border), 0.0);
        sums.resize((height * width * padded).max(sums.len()), 0.0);
        for first in (0..padded).step_by(GROUP) {
            self.copy::<L>(first, stride, &mut input);
            for row in 0..height {
                let (input, sums) = (&input[row * stride..], &mut sums[row * width * padded..]);
                let mut column = 0;
                while column < width {
                    let (input, sums) = (&input[column * GROUP..], &mut sums[column * padded + first..]);
                    let live = width - column;
                    if live >= TILE {
                        conv.tile::<L, TILE>(first, input, stride, sums, live);
                        column += TILE;
                    } else {
                        conv.tile::<L, REST>(first, input, stride, sums, live);
                        column += REST;
                    }
                }
            }
        }
        self.finish(&mut sums);
        *self.scratch = (input, sums);
    }
}

impl<T: Element> Patch<'_, T> {
    /// Copies the [`GROUP`] channels from `first` on. Pixels outside the map stay as they are, which is zero.
    #[inline(always)]
    fn copy<L: Lanes>(&self, first: usize, stride: usize, input: &mut [f32]) {
        let (border, channels) = (self.conv.kernel - 1, self.conv.channels);
        let (left, width) = self.columns;
        let live = GROUP.min(channels - first);
        let begin = (border / 2).saturating_sub(left);
        let end = (width + border).min(self.maps.width + border / 2 - left);
        for (row, line) in input.chunks_exact_mut(stride).enumerate() {
            let y = (self.rows.0 + row).checked_sub(border / 2);
            let Some(y) = y.filter(|&y| y < self.maps.height) else { continue };
            let x = &self.x[(y * self.maps.width + left + begin - border / 2) * channels..];
            let pixels = x.chunks(channels).zip(line[begin * GROUP..end * GROUP].chunks_exact_mut(GROUP));
            for (x, to) in pixels {
                if let Some(x) = x[first..].first_chunk::<GROUP>() {
                    // SAFETY: two vectors make a group.
                    unsafe {
                        L::load(x.as_ptr()).store(to.as_mut_ptr());
                        L::load(x.as_ptr().add(LANES)).store(to.as_mut_ptr().add(LANES));
                    }
                } else {
                    to.iter_mut().zip(&x[first..first + live]).for_each(|(to, x)| *to = x.widen());
                }
            }
        }
    }

    /// Normalises the sums, or takes them as they are, and writes them to their places.
    #[inline(always)]
    fn finish(&self, sums: &mut [f32]) {
        let (padded, channels) = (self.conv.bias.len(), self.conv.channels);
        let ((top, height), (left, width)) = (self.rows, self.columns);
        let pixels = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        for ((row, column), sums) in pixels.zip(sums.chunks_exact_mut(padded)) {
            let pixel = self.start + (top + row) * self.maps.width + left + column;
            // SAFETY: within the map, and every pixel is one task's alone.
            let out = unsafe { self.out.slice(pixel * channels, channels) };
            let sums = &mut sums[..channels];
            if let Some(norm) = self.norm {
                norm.in_place(sums);
            }
            out.iter_mut().zip(&*sums).for_each(|(out, &x)| *out = T::round(x));
        }
    }
}

impl Depthwise {
    /// The outputs of `N` neighbouring pixels, of which `live` exist, in the [`GROUP`] channels from `first` on.
    /// `input` begins at the corner of the first one's window, `sums` at its first channel.
    #[inline(always)]
    fn tile<L: Lanes, const N: usize>(
        &self,
        first: usize,
        input: &[f32],
        stride: usize,
        sums: &mut [f32],
        live: usize,
    ) {
        let kernel = self.kernel;
        let taps = &self.taps[first * kernel * kernel..][..GROUP * kernel * kernel];
        let bias = &self.bias[first..][..GROUP];
        // The last pixel that is read: its group ends within the input.
        assert!(input.len() >= (kernel - 1) * stride + (N + kernel - 1) * GROUP);
        // SAFETY: groups are two vectors; pixels were checked to lie inside.
        let mut acc = unsafe { [[L::load(bias.as_ptr()), L::load(bias.as_ptr().add(LANES))]; N] };
        for row in 0..kernel {
            for column in 0..kernel {
                // SAFETY: as above.
                unsafe {
                    let taps = taps.as_ptr().add((row * kernel + column) * GROUP);
                    let taps = [L::load(taps), L::load(taps.add(LANES))];
                    let x = input.as_ptr().add(row * stride + column * GROUP);
                    for (t, acc) in acc.iter_mut().enumerate() {
                        let x = x.add(t * GROUP);
                        acc[0] = L::load(x).mul_add(taps[0], acc[0]);
                        acc[1] = L::load(x.add(LANES)).mul_add(taps[1], acc[1]);
                    }
                }
            }
        }
        let padded = self.bias.len();
        for (acc, sums) in acc.iter().take(live).zip(sums.chunks_mut(padded)) {
            let sums = &mut sums[..GROUP];
            // SAFETY: as above.
            unsafe {
                acc[0].store(sums.as_mut_ptr());
                acc[1].store(sums.as_mut_ptr().add(LANES));
            }
        }
    }
}
