//! What a task convolves: the copy of its part of a map, and the sums along all taps.

use std::cell::Cell;

use super::{Depthwise, Maps};
use crate::element::Element;
use crate::lanes::{LANES, Lanes, Work};
use crate::out::Out;
use crate::panels::{Line, room};

/// Neighbouring outputs whose sums are held in registers; the rest of a row takes [`REST`] at a time.
pub(super) const TILE: usize = 8;
const REST: usize = 4;

/// Some rows and columns of one map, each as start and length, in a vector of channels.
pub(super) struct Patch<'a, T> {
    pub conv: &'a Depthwise,
    /// The map.
    pub x: &'a [T],
    pub maps: Maps,
    pub rows: (usize, usize),
    pub columns: (usize, usize),
    pub group: usize,
    /// `[pixels][padded channels]`.
    pub sums: Out<f32>,
    /// The pixel of the first sum.
    pub start: usize,
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
        // The last row lies in the cells of the one above it.
        let rows = height + border - usize::from(PAIRS);
        let cells = room(scratch, stride * rows * LANES);
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

    /// Fills rows of `stride` cells for each channel: what lies under the kernel, zeros outside the map.
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
                // SAFETY: all are vectors, the last ones as was checked; what becomes pairs is bf16, where the
                // machine has instructions for them.
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
        // Rows of a step, and the row of the last one.
        let down = if PAIRS { 2 } else { 1 };
        let lowest = kernel - down;
        assert!(cells.len() >= lowest * stride + N + kernel - 1 && live <= N);
        // SAFETY: a line is a vector; the last one that is read lies inside, as was checked; taps are pairs where the
        // machine has instructions for them; the sums of these pixels and channels are this task's alone.
        unsafe {
            let mut sums = [L::load(bias[first..][..LANES].as_ptr()); N];
            for step in 0..steps {
                let row = (step * down).min(lowest);
                let (mut cells, mut taps) =
                    (cells.as_ptr().add(row * stride), taps.as_ptr().add(step * kernel));
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
/// `cells` points to `N + K - 1` lines, `taps` to `K`; for pairs, the machine has instructions.
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
