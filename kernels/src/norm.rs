//! Normalisation of rows, apart or while a product packs them.

use rayon::prelude::*;

use crate::element::Element;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::out::Out;
use crate::tile::{Job, Tile};

/// Sums that run side by side: the order of additions is the same on every machine.
const LANES: usize = 64;
/// Fewest numbers that one task normalises.
const TASK: usize = 16 << 10;

/// Normalisation over channels, in f32 and rounded once.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a, T> {
    /// What is made one.
    pub kind: NormKind,
    /// `[channels]`: multiplied with the result.
    pub weight: &'a [T],
    /// `[channels]`: added last.
    pub bias: Option<&'a [T]>,
    /// Added to the variance or the mean square.
    pub eps: f32,
}

/// What a normalisation makes zero and one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// The mean and the variance (arXiv 1607.06450).
    Layer,
    /// The mean square (arXiv 1910.07467).
    Rms,
}

impl<T: Element> Norm<'_, T> {
    /// Writes the normalised rows of `x`, `[rows, channels]`, to `out`. Runs on the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply(&self, x: &[T], out: &mut [T]) {
        self.apply_at_most(Isa::Avx512Bf16, x, out);
    }

    /// As [`Norm::apply`], with no higher instructions than these; to compare them.
    ///
    /// # Panics
    /// As [`Norm::apply`].
    pub fn apply_at_most(&self, isa: Isa, x: &[T], out: &mut [T]) {
        let channels = self.weight.len();
        assert_eq!(x.len(), out.len(), "x and out");
        self.check(channels);
        if channels == 0 {
            return;
        }
        assert!(x.len().is_multiple_of(channels), "x: not [rows, {channels}]");
        let (kernel, rows) = (Kernel::choose::<T>(isa), TASK.div_ceil(channels));
        out.par_chunks_mut(rows * channels).zip(x.par_chunks(rows * channels)).for_each(|(out, x)| {
            // SAFETY: the slices are as long as one another, and this task's alone.
            unsafe { kernel.run(&Rows { norm: self, x, out: Out::new(out) }) }
        });
    }

    /// Panics when a part is not of so many channels.
    pub(crate) fn check(&self, channels: usize) {
        assert_eq!(self.weight.len(), channels, "weight: not [{channels}]");
        assert!(self.bias.is_none_or(|bias| bias.len() == channels), "bias: not [{channels}]");
    }

    /// Writes one normalised row, unrounded.
    #[inline(always)]
    pub(crate) fn row(&self, x: &[T], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = x.widen();
        }
        self.in_place(out);
    }

    /// Normalises a row.
    #[inline(always)]
    pub(crate) fn in_place(&self, out: &mut [f32]) {
        let share = 1.0 / out.len() as f32;
        let mean = match self.kind {
            NormKind::Layer => sum(out, |x| x) * share,
            NormKind::Rms => 0.0,
        };
        let square = sum(out, |x| (x - mean) * (x - mean)) * share;
        let scale = 1.0 / (square + self.eps).sqrt();
        match self.bias {
            Some(bias) => {
                for ((out, weight), bias) in out.iter_mut().zip(self.weight).zip(bias) {
                    *out = (*out - mean) * scale * weight.widen() + bias.widen();
                }
            }
            None => {
                for (out, weight) in out.iter_mut().zip(self.weight) {
                    *out = (*out - mean) * scale * weight.widen();
                }
            }
        }
    }
}

#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in whole {
        sums.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += of(x));
    }
    sums.iter_mut().zip(rest).for_each(|(sum, &x)| *sum += of(x));
    let mut width = LANES / 2;
    while width > 0 {
        let (low, high) = sums.split_at_mut(width);
        low.iter_mut().zip(&*high).for_each(|(low, high)| *low += high);
        width /= 2;
    }
    sums[0]
}

/// Some rows.
struct Rows<'a, T> {
    norm: &'a Norm<'a, T>,
    x: &'a [T],
    out: Out<T>,
}

impl<T: Element> Job for Rows<'_, T> {
    /// # Safety
    /// That of [`Job::run`]; `out` is as long as `x`, and nobody else's.
    #[inline(always)]
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self) {
        let channels = self.norm.weight.len();
        let mut values = vec![0.0; channels];
        // SAFETY: the caller's.
        let out = unsafe { self.out.slice(0, self.x.len()) };
        for (x, out) in self.x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            self.norm.row(x, &mut values);
            out.iter_mut().zip(&values).for_each(|(out, &value)| *out = T::round(value));
        }
    }
}
