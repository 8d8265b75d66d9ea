//! Rotary position embeddings (arXiv 2104.09864).

use rayon::prelude::*;

use crate::element::Element;
use crate::lanes::{self, Lanes, Work};
use crate::out::{Slot, filled};

/// Which two channels turn together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pairing {
    /// Channel `i` with `i + pairs`.
    #[default]
    Halves,
    /// Channel `2 i` with `2 i + 1`.
    Neighbours,
}

/// How far the first `2 · pairs` channels of each head turn, for every token; the other channels stay.
#[derive(Debug, Clone, Copy)]
pub struct Rotary<'a> {
    /// `[tokens, pairs]`; tokens beyond these begin with the first again.
    pub cos: &'a [f32],
    /// As `cos`.
    pub sin: &'a [f32],
    /// Channel pairs.
    pub pairs: usize,
    /// Which channels are a pair.
    pub pairing: Pairing,
    /// The last so many heads of each token stay: values beside queries and keys.
    pub still: usize,
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
        assert!(self.still <= heads, "{} of {heads} heads stay", self.still);
        let turning = (heads - self.still) * channels;
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
            let ((x, rest), (out, behind)) = (x.split_at(turning), out.split_at_mut(turning));
            match self.pairing {
                Pairing::Halves => lanes::run(Halves(Token { cos, sin, channels, x, out })),
                Pairing::Neighbours => lanes::run(Neighbours(Token { cos, sin, channels, x, out })),
            }
            behind.iter_mut().zip(rest).for_each(|(out, &x)| out.put(x));
        });
        // SAFETY: these are all tokens, each of whole heads, of which all channels are written.
        unsafe { filled(out) }
    }
}

/// The heads of one token that turn.
struct Token<'a, T, P> {
    cos: &'a [f32],
    sin: &'a [f32],
    channels: usize,
    x: &'a [T],
    out: &'a mut [P],
}

/// [`Pairing::Halves`].
struct Halves<'a, T, P>(Token<'a, T, P>);

impl<T: Element, P: Slot<T>> Work for Halves<'_, T, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Token { cos, sin, channels, x, out } = self.0;
        let pairs = cos.len();
        for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            let ((a, rest), (first, behind)) = (x.split_at(pairs), out.split_at_mut(pairs));
            let ((b, rest), (second, still)) = (rest.split_at(pairs), behind.split_at_mut(pairs));
            let (a, b) = (&a[..pairs], &b[..pairs]);
            let (cos, sin) = (&cos[..pairs], &sin[..pairs]);
            for i in 0..pairs {
                let (a, b) = (a[i].widen(), b[i].widen());
                first[i].put(T::round(a * cos[i] - b * sin[i]));
                second[i].put(T::round(b * cos[i] + a * sin[i]));
            }
            still.iter_mut().zip(rest).for_each(|(out, &x)| out.put(x));
        }
    }
}

/// [`Pairing::Neighbours`].
struct Neighbours<'a, T, P>(Token<'a, T, P>);

impl<T: Element, P: Slot<T>> Work for Neighbours<'_, T, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Token { cos, sin, channels, x, out } = self.0;
        for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
            let (turning, still) = out.split_at_mut(2 * cos.len());
            let (x, rest) = x.split_at(2 * cos.len());
            let pairs = x.as_chunks::<2>().0.iter().zip(turning.as_chunks_mut::<2>().0);
            for ((pair, out), (cos, sin)) in pairs.zip(cos.iter().zip(sin)) {
                let [a, b] = pair.map(Element::widen);
                out[0].put(T::round(a * cos - b * sin));
                out[1].put(T::round(b * cos + a * sin));
            }
            still.iter_mut().zip(rest).for_each(|(out, &x)| out.put(x));
        }
    }
}
