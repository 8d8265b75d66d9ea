//! Cross-entropy over a vocabulary that comes in parts, so that the logits of all of it need not exist at once.

use rayon::prelude::*;

use crate::activation::exp;
use crate::arithmetic::Arithmetic;
use crate::element::Element;
use crate::lanes::{self, LANES, Lanes, Work};

/// What is known of a row's distribution after some parts of the vocabulary.
#[derive(Debug, Clone, Copy)]
pub struct Distribution {
    max: f32,
    sum: f32,
    hit: f32,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { max: f32::NEG_INFINITY, sum: 0.0, hit: 0.0 }
    }
}

impl Distribution {
    /// The logarithm of the sum of the exponentials of all logits.
    #[must_use]
    pub fn log(&self) -> f32 {
        self.max + self.sum.ln()
    }

    /// The cross-entropy of the row's target, in nats.
    #[must_use]
    pub fn loss(&self) -> f32 {
        self.log() - self.hit
    }
}

/// The logits of some rows in a part of the vocabulary.
#[derive(Debug, Clone, Copy)]
pub struct VocabularyPart<'a, T> {
    /// `[rows, columns]`.
    pub logits: &'a [T],
    /// Which class is the first of these.
    pub first: usize,
    /// Classes of this part.
    pub columns: usize,
    /// The class of each row.
    pub targets: &'a [u32],
    /// Logits are `cap · tanh(logit / cap)`.
    pub cap: Option<f32>,
}

impl<T: Element> VocabularyPart<'_, T> {
    /// Adds this part to what is known of each row. Runs on the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn observe(&self, rows: &mut [Distribution]) {
        self.check(rows.len());
        rows.par_iter_mut().enumerate().for_each(|(row, known)| {
            lanes::run(Observe { part: self, row, known });
        });
    }

    /// Writes the gradients of these logits to `out`, `[rows, columns]`, for the whole `rows`, each times `factor`.
    /// Runs on the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn slopes(&self, rows: &[Distribution], factor: f32, out: &mut [T]) {
        self.check(rows.len());
        assert_eq!(out.len(), self.logits.len(), "out: not as many as logits");
        out.par_chunks_mut(self.columns.max(1)).zip(rows).enumerate().for_each(|(row, (out, known))| {
            lanes::run(Slopes { part: self, row, log: known.log(), factor, out });
        });
    }

    fn check(&self, rows: usize) {
        assert_eq!(self.logits.len(), rows * self.columns, "logits: not [{rows}, {}]", self.columns);
        assert_eq!(self.targets.len(), rows, "targets: not [{rows}]");
    }

    /// The logits of a row, and where in them its target is.
    fn row(&self, row: usize) -> (&[T], Option<usize>) {
        let target = (self.targets[row] as usize).checked_sub(self.first);
        (&self.logits[row * self.columns..][..self.columns], target.filter(|at| *at < self.columns))
    }

    #[inline(always)]
    fn capped<A: Arithmetic>(&self, x: f32) -> f32 {
        match self.cap {
            // tanh u = 1 - 2 / (e^{2u} + 1)
            Some(cap) => cap * (1.0 - 2.0 / (exp::<A>(2.0 * x / cap) + 1.0)),
            None => x,
        }
    }
}

const TURN: usize = 4 * LANES;

struct Observe<'a, T> {
    part: &'a VocabularyPart<'a, T>,
    row: usize,
    known: &'a mut Distribution,
}

impl<T: Element> Work for Observe<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { part, row, known } = self;
        let (logits, target) = part.row(row);
        let mut most = [known.max; TURN];
        for turn in logits.chunks(TURN) {
            for (most, x) in most.iter_mut().zip(turn) {
                let x = part.capped::<L::Arithmetic>(x.widen());
                *most = if x > *most { x } else { *most };
            }
        }
        let max = most.into_iter().fold(known.max, f32::max);
        let mut sums = [0.0; TURN];
        for turn in logits.chunks(TURN) {
            for (sum, x) in sums.iter_mut().zip(turn) {
                *sum += exp::<L::Arithmetic>(part.capped::<L::Arithmetic>(x.widen()) - max);
            }
        }
        let before = if known.sum == 0.0 { 0.0 } else { known.sum * exp::<L::Arithmetic>(known.max - max) };
        (known.max, known.sum) = (max, before + lanes::folded(sums));
        if let Some(at) = target {
            known.hit = part.capped::<L::Arithmetic>(logits[at].widen());
        }
    }
}

struct Slopes<'a, T> {
    part: &'a VocabularyPart<'a, T>,
    row: usize,
    log: f32,
    factor: f32,
    out: &'a mut [T],
}

impl<T: Element> Work for Slopes<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { part, row, log, factor, out } = self;
        let (logits, target) = part.row(row);
        let slope = |x: f32, capped: f32| match part.cap {
            Some(cap) => (1.0 - (capped / cap) * (capped / cap)) * x,
            None => x,
        };
        for (out, turn) in out.chunks_mut(TURN).zip(logits.chunks(TURN)) {
            for (out, x) in out.iter_mut().zip(turn) {
                let x = part.capped::<L::Arithmetic>(x.widen());
                *out = T::round(slope(factor * exp::<L::Arithmetic>(x - log), x));
            }
        }
        if let Some(at) = target {
            let x = part.capped::<L::Arithmetic>(logits[at].widen());
            out[at] = T::round(slope(factor * (exp::<L::Arithmetic>(x - log) - 1.0), x));
        }
    }
}
