//! Rotary position embeddings (arXiv 2104.09864) in the half-split form: channel `i` turns with `i + pairs`.

use rayon::prelude::*;

use crate::element::Element;
use crate::lanes::{self, Lanes, Work};
use crate::out::{Slot, filled};

/// How far the first `2 · pairs` channels of each head turn, for every token; the other channels stay.
#[derive(Debug, Clone, Copy)]
pub struct Rotary<'a> {
    /// `[tokens, pairs]`; tokens beyond these begin with the first again.
    pub cos: &'a [f32],
    /// As `cos`.
    pub sin: &'a [f32],
    /// Channel pairs.
    pub pairs: usize,
}

impl Rotary<'_> {
    /// Writes `x`, `[tokens, heads, channels]`, turned, to `out`, and returns it: in f32, rounded once. Runs on the
    /// threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply<'o, T: Element>(
        &self,
        x: &[T],
        heads: usize,
        channels: usize,
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        let (token, pairs) = (heads * channels, self.pairs);
        assert_eq!(x.len(), out.len(), "x and out");
        if x.is_empty() {
            return &mut [];
        }
        assert!(token > 0 && x.len().is_multiple_of(token), "x: not [tokens, {heads}, {channels}]");
        assert!(pairs > 0 && 2 * pairs <= channels, "{pairs} pairs of {channels} channels");
        assert!(self.cos.len() == self.sin.len() && !self.cos.is_empty(), "cos and sin");
        assert!(self.cos.len().is_multiple_of(pairs), "cos: not [tokens, {pairs}]");
        let rows = self.cos.len() / pairs;
        out.par_chunks_mut(token).zip(x.par_chunks(token)).enumerate().for_each(|(i, (out, x))| {
            let table = i % rows * pairs..(i % rows + 1) * pairs;
            let (cos, sin) = (&self.cos[table.clone()], &self.sin[table]);
            lanes::run(Token { cos, sin, channels, x, out });
        });
        // SAFETY: these are all tokens, each of whole heads, of which all channels are written.
        unsafe { filled(out) }
    }
}

/// All heads of one token.
struct Token<'a, T, P> {
    cos: &'a [f32],
    sin: &'a [f32],
    channels: usize,
    x: &'a [T],
    out: &'a mut [P],
}

impl<T: Element, P: Slot<T>> Work for Token<'_, T, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let pairs = self.cos.len();
        for (x, out) in self.x.chunks_exact(self.channels).zip(self.out.chunks_exact_mut(self.channels)) {
            let ((a, rest), (first, behind)) = (x.split_at(pairs), out.split_at_mut(pairs));
            let ((b, rest), (second, still)) = (rest.split_at(pairs), behind.split_at_mut(pairs));
            let (a, b) = (&a[..pairs], &b[..pairs]);
            let (cos, sin) = (&self.cos[..pairs], &self.sin[..pairs]);
            for i in 0..pairs {
                let (a, b) = (a[i].widen(), b[i].widen());
                first[i].put(T::round(a * cos[i] - b * sin[i]));
                second[i].put(T::round(b * cos[i] + a * sin[i]));
            }
            still.iter_mut().zip(rest).for_each(|(out, &x)| out.put(x));
        }
    }
}
