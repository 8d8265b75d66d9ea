//! What follows a product while it is still in the cache.

use crate::activation::Activation;
use crate::arithmetic::Arithmetic;
use crate::element::Element;

/// `residual + scale · activation(product + bias)`, each part optional, in f32; rounded once, at the end.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a, T> {
    /// `[outputs]`.
    pub bias: Option<&'a [T]>,
    /// After the bias.
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
    /// Finishes the sums of `row` in place.
    #[inline(always)]
    pub(crate) fn finish<A: Arithmetic>(&self, row: usize, sums: &mut [f32; N]) {
        for (sum, bias) in sums.iter_mut().zip(&self.bias) {
            *sum += bias;
        }
        if let Some(activation) = self.activation {
            activation.apply::<A>(sums);
        }
        if let Some(shortcut) = self.shortcut {
            let shortcut = &shortcut[row * self.outputs..][self.start..self.outputs];
            // Widened first: the loop that follows has one length, whether or not the panel is full.
            let mut wide = [0.0; N];
            if let Some(shortcut) = shortcut.first_chunk::<N>() {
                wide = shortcut.map(T::widen);
            } else {
                wide.iter_mut().zip(shortcut).for_each(|(wide, x)| *wide = x.widen());
            }
            for ((sum, scale), x) in sums.iter_mut().zip(&self.scale).zip(wide) {
                *sum = A::mul_add(*scale, *sum, x);
            }
        }
    }
}
