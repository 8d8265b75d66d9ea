//! Normalisation of rows, apart or while a product packs them.

use rayon::prelude::*;

use crate::element::Element;
use crate::isa::Isa;
use crate::lanes::{self, LANES, Lanes, Work};
use crate::out::{Slot, filled};

/// Vectors of sums that run side by side: the order of additions is the same on every machine.
const SUMS: usize = 4;
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
    /// Writes the normalised rows of `x`, `[rows, channels]`, to `out`, and returns it. Runs on the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply<'o>(&self, x: &[T], out: &'o mut [impl Slot<T>]) -> &'o mut [T] {
        self.apply_at_most(Isa::Avx512Bf16, x, out)
    }

    /// As [`Norm::apply`], with no higher instructions than these; to compare them.
    ///
    /// # Panics
    /// As [`Norm::apply`].
    pub fn apply_at_most<'o>(&self, isa: Isa, x: &[T], out: &'o mut [impl Slot<T>]) -> &'o mut [T] {
        let channels = self.weight.len();
        assert_eq!(x.len(), out.len(), "x and out");
        self.check(channels);
        assert!(x.len().is_multiple_of(channels), "x: not [rows, {channels}]");
        if channels == 0 {
            return &mut [];
        }
        let rows = TASK.div_ceil(channels);
        out.par_chunks_mut(rows * channels).zip(x.par_chunks(rows * channels)).for_each(|(out, x)| {
            lanes::run_at_most(isa, Rows { norm: self, x, stride: channels, out });
        });
        // SAFETY: the rows of all tasks are all rows.
        unsafe { filled(out) }
    }

    /// Panics when a part is not of so many channels.
    pub(crate) fn check(&self, channels: usize) {
        assert_eq!(self.weight.len(), channels, "weight: not [{channels}]");
        assert!(self.bias.is_none_or(|bias| bias.len() == channels), "bias: not [{channels}]");
    }

    /// Writes the normalised row `x`, rounded once.
    #[inline(always)]
    fn row<L: Lanes, S: Element>(&self, x: &[S], out: &mut [impl Slot<T>]) {
        let share = 1.0 / x.len() as f32;
        let mean = match self.kind {
            NormKind::Layer => sum::<L, S, false>(x, 0.0) * share,
            NormKind::Rms => 0.0,
        };
        let square = sum::<L, S, true>(x, mean) * share;
        let scale = 1.0 / (square + self.eps).sqrt();
        match self.bias {
            Some(bias) => {
                for (((out, &x), weight), bias) in out.iter_mut().zip(x).zip(self.weight).zip(bias) {
                    out.put(T::round((x.widen() - mean) * scale * weight.widen() + bias.widen()));
                }
            }
            None => {
                for ((out, &x), weight) in out.iter_mut().zip(x).zip(self.weight) {
                    out.put(T::round((x.widen() - mean) * scale * weight.widen()));
                }
            }
        }
    }
}

/// The sum of all `x - mean`, or of their squares.
#[inline(always)]
fn sum<L: Lanes, S: Element, const SQUARES: bool>(x: &[S], mean: f32) -> f32 {
    let mut sums = [L::splat(0.0); SUMS];
    let away = L::splat(-mean);
    let (blocks, rest) = x.as_chunks::<{ SUMS * LANES }>();
    for block in blocks {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: a block is so many vectors.
            let x = unsafe { L::load(block.as_ptr().add(i * LANES)) };
            *sum = sum.add(if SQUARES { x.add(away).mul(x.add(away)) } else { x });
        }
    }
    let mut all = [0.0; SUMS * LANES];
    for (some, sum) in all.chunks_exact_mut(LANES).zip(sums) {
        some.copy_from_slice(&sum.to_array());
    }
    for (lane, x) in all.iter_mut().zip(rest) {
        let x = x.widen();
        *lane += if SQUARES { (x - mean) * (x - mean) } else { x };
    }
    lanes::folded(all)
}

/// Some rows of `S`, which become rows of `T`; all of them are written.
pub(crate) struct Rows<'a, S, T, P> {
    pub norm: &'a Norm<'a, T>,
    /// Rows of `stride` numbers, of which the first are the channels.
    pub x: &'a [S],
    pub stride: usize,
    /// `[rows, channels]`.
    pub out: &'a mut [P],
}

impl<S: Element, T: Element, P: Slot<T>> Work for Rows<'_, S, T, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { norm, x, stride, out } = self;
        let channels = norm.weight.len();
        for (x, out) in x.chunks_exact(stride).zip(out.chunks_exact_mut(channels)) {
            norm.row::<L, S>(&x[..channels], out);
        }
    }
}
