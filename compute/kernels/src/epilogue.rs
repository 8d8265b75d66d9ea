//! What follows a product while it is still in the cache.

use std::ops::Range;

use crate::activation::Activation;
use crate::element::Element;
use crate::finish::Finish;
use crate::prefetch;

/// `residual + scale · activation(product + bias)`, each part optional, in f32; rounded once, at the end.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a, T> {
    /// `[outputs]`.
    pub bias: Option<&'a [T]>,
    /// After the bias. With AVX-512's instructions for bf16, whose results are rounded by up to 2e-3 of each, to 5e-4 of
    /// the greater of the value and 1/64; else as exact as [`Activation::of`].
    pub activation: Option<Activation>,
    /// Last.
    pub residual: Option<Residual<'a, T>>,
}

/// The shortcut around a branch that ends in a product.
#[derive(Debug, Clone, Copy)]
pub struct Residual<'a, T> {
    /// `[rows, outputs]`.
    pub shortcut: &'a [T],
    /// `[outputs]`: a layer scale on the branch.
    pub scale: Option<&'a [T]>,
}

impl<T> Default for Epilogue<'_, T> {
    fn default() -> Self {
        Self { bias: None, activation: None, residual: None }
    }
}

impl<'a, T: Element> Epilogue<'a, T> {
    /// Panics when a part has not the size of a product of `rows` by `outputs`.
    pub(crate) fn check(&self, rows: usize, outputs: usize) {
        assert!(self.bias.is_none_or(|bias| bias.len() == outputs), "bias: not [{outputs}]");
        if let Some(Residual { shortcut, scale }) = self.residual {
            assert_eq!(shortcut.len(), rows * outputs, "shortcut: not [{rows}, {outputs}]");
            assert!(scale.is_none_or(|scale| scale.len() == outputs), "scale: not [{outputs}]");
        }
    }

    /// The part for the outputs from `start`, at most `N` of them.
    #[inline(always)]
    pub(crate) fn columns<const N: usize>(&self, outputs: usize, start: usize) -> Columns<'a, T, N> {
        let take = |values: Option<&[T]>, fill: f32| {
            let mut taken = [fill; N];
            if let Some(values) = values {
                for (to, from) in taken.iter_mut().zip(&values[start..]) {
                    *to = from.widen();
                }
            }
            taken
        };
        Columns {
            start,
            outputs,
            bias: take(self.bias, 0.0),
            activation: self.activation,
            scale: take(self.residual.and_then(|r| r.scale), 1.0),
            shortcut: self.residual.map(|r| r.shortcut),
        }
    }
}

/// An [`Epilogue`] at the outputs of one panel.
pub(crate) struct Columns<'a, T, const N: usize> {
    start: usize,
    outputs: usize,
    bias: [f32; N],
    activation: Option<Activation>,
    scale: [f32; N],
    shortcut: Option<&'a [T]>,
}

impl<T: Element, const N: usize> Columns<'_, T, N> {
    /// Asks the cache for what [`Columns::finish`] reads of these rows.
    #[inline(always)]
    pub(crate) fn prefetch(&self, rows: Range<usize>) {
        if let Some(shortcut) = self.shortcut {
            rows.for_each(|row| prefetch::read(self.row(shortcut, row)));
        }
    }

    /// The part of `row`.
    #[inline(always)]
    fn row<'s>(&self, shortcut: &'s [T], row: usize) -> &'s [T] {
        &shortcut[row * self.outputs..][self.start..self.outputs.min(self.start + N)]
    }

    /// Finishes the sums of rows from `row` on, in place.
    ///
    /// # Safety
    /// The machine has the instructions of `A`.
    #[inline(always)]
    pub(crate) unsafe fn finish<A: Finish>(&self, row: usize, sums: &mut [[f32; N]]) {
        for sums in &mut *sums {
            sums.iter_mut().zip(&self.bias).for_each(|(sum, bias)| *sum += bias);
        }
        if let Some(activation) = self.activation {
            // SAFETY: the caller's.
            unsafe { A::activate(activation, sums.as_flattened_mut()) };
        }
        if let Some(shortcut) = self.shortcut {
            for (sums, row) in sums.iter_mut().zip(row..) {
                let shortcut = self.row(shortcut, row);
                // SAFETY: the caller's.
                unsafe {
                    // The whole panel by itself: its length is known.
                    match shortcut.first_chunk::<N>() {
                        Some(shortcut) => A::add_scaled(shortcut, &self.scale, sums),
                        None => A::add_scaled(shortcut, &self.scale, sums),
                    }
                }
            }
        }
    }
}
