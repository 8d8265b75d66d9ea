//! The backward pass of normalisation (arXiv 1607.06450, 1910.07467).

use rayon::prelude::*;

use super::columns::{STRIP, Strip};
use crate::element::Element;
use crate::lanes::{self, Lanes, Work};
use crate::norm::{Norm, NormKind};
use crate::out::{Slot, filled};

/// Fewest numbers of a task.
const TASK: usize = 16 << 10;
/// Sums that run side by side.
const SUMS: usize = 32;

/// Gradients of what a norm multiplies with and adds.
#[derive(Debug)]
pub struct NormGradients<'a> {
    /// `[channels]`.
    pub weight: &'a mut [f32],
    /// `[channels]`.
    pub bias: Option<&'a mut [f32]>,
}

impl<T: Element> Norm<'_, T> {
    /// Writes the gradient of the rows `x`, `[rows, channels]`, for the gradient of their normalised forms to `out`, and
    /// returns it; `plus` is added, so that what goes around the norm joins it here. Writes those of weight and bias to
    /// `parameters`. In f32, rounded once. Runs on the threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn gradient<'o>(
        &self,
        x: &[T],
        gradient: &[T],
        plus: Option<&[T]>,
        parameters: Option<NormGradients<'_>>,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        let channels = self.weight.len();
        self.check(channels);
        assert!(x.len() == gradient.len() && x.len() == out.len(), "x, gradient and out");
        assert!(plus.is_none_or(|plus| plus.len() == x.len()), "x and what is added");
        assert!(channels > 0 && x.len().is_multiple_of(channels), "x: not [rows, {channels}]");
        let rows = x.len() / channels;
        // The mean, and what is multiplied with after it was taken away.
        let mut shapes = vec![(0.0, 0.0); rows];
        let turn = TASK.div_ceil(channels);
        let tasks = out.par_chunks_mut(turn * channels).zip(shapes.par_chunks_mut(turn)).enumerate();
        tasks.for_each(|(task, (out, shapes))| {
            let part = task * turn * channels..task * turn * channels + out.len();
            let plus = plus.map(|plus| &plus[part.clone()]);
            let (x, gradient) = (&x[part.clone()], &gradient[part]);
            lanes::run(Rows { norm: self, x, gradient, plus, out, shapes });
        });
        if let Some(NormGradients { weight, bias }) = parameters {
            assert!(
                weight.len() == channels && bias.as_ref().is_none_or(|b| b.len() == channels),
                "parameters"
            );
            weight.par_chunks_mut(STRIP).enumerate().for_each(|(strip, out)| {
                let first = strip * STRIP;
                let add = |row: usize, sums: &mut [f32]| {
                    let ((mean, scale), at) = (shapes[row], row * channels + first);
                    for ((sum, x), gradient) in sums.iter_mut().zip(&x[at..]).zip(&gradient[at..]) {
                        *sum += gradient.widen() * ((x.widen() - mean) * scale);
                    }
                };
                lanes::run(Strip { rows, out, add });
            });
            if let Some(bias) = bias {
                super::sum_rows(gradient, bias);
            }
        }
        // SAFETY: the rows of all tasks are all rows.
        unsafe { filled(out) }
    }
}

struct Rows<'a, T, P> {
    norm: &'a Norm<'a, T>,
    x: &'a [T],
    gradient: &'a [T],
    plus: Option<&'a [T]>,
    out: &'a mut [P],
    shapes: &'a mut [(f32, f32)],
}

impl<T: Element, P: Slot<T>> Work for Rows<'_, T, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { norm, x, gradient, plus, out, shapes } = self;
        let channels = norm.weight.len();
        let share = 1.0 / channels as f32;
        let layer = norm.kind == NormKind::Layer;
        let (mut centred, mut weighted) = (vec![0f32; channels], vec![0f32; channels]);
        for (row, shape) in shapes.iter_mut().enumerate() {
            let part = row * channels..(row + 1) * channels;
            let (x, gradient, out) = (&x[part.clone()], &gradient[part.clone()], &mut out[part.clone()]);
            centred.iter_mut().zip(x).for_each(|(to, x)| *to = x.widen());
            let mean = if layer { sum(&centred) * share } else { 0.0 };
            centred.iter_mut().for_each(|x| *x -= mean);
            let square = dot(&centred, &centred) * share;
            let scale = 1.0 / (square + norm.eps).sqrt();
            for ((to, gradient), weight) in weighted.iter_mut().zip(gradient).zip(norm.weight) {
                *to = gradient.widen() * weight.widen();
            }
            let level = if layer { sum(&weighted) * share } else { 0.0 };
            let slope = dot(&weighted, &centred) * share * scale * scale;
            *shape = (mean, scale);
            let numbers = weighted
                .iter()
                .zip(&centred)
                .map(|(weighted, centred)| scale * (weighted - level - centred * slope));
            match plus {
                Some(plus) => {
                    for ((out, number), plus) in out.iter_mut().zip(numbers).zip(&plus[part]) {
                        out.put(T::round(number + plus.widen()));
                    }
                }
                None => out.iter_mut().zip(numbers).for_each(|(out, number)| out.put(T::round(number))),
            }
        }
    }
}

#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    let (turns, rest) = x.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for turn in turns {
        sums.iter_mut().zip(turn).for_each(|(sum, x)| *sum += x);
    }
    sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum += x);
    lanes::folded(sums)
}

#[inline(always)]
fn dot(x: &[f32], y: &[f32]) -> f32 {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<SUMS>(), y.as_chunks::<SUMS>());
    let mut sums = [0.0; SUMS];
    for (x, y) in x.iter().zip(y) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    for ((sum, x), y) in sums.iter_mut().zip(x_rest).zip(y_rest) {
        *sum += x * y;
    }
    lanes::folded(sums)
}
