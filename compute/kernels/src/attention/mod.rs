//! Attention without a matrix of scores in memory (arXiv 2112.05682, 2205.14135).
//!
//! Queries lie in the lanes of the vector unit: a tile of scores is some keys by 32 queries (by 16, if the last are so
//! few), so that maxima and sums over keys need no step across lanes, and the weights come out in the very form in
//! which the second product reads them. Keys are taken in blocks at fixed places, and every query is on its own lane;
//! so a query's result depends neither on the queries beside it nor on the threads.

mod bias;
mod block;
mod few;
mod pack;
mod queries;
mod results;
mod softmax;
mod task;

use std::ops::Range;

use rayon::prelude::*;

use crate::element::Element;
use crate::isa::Isa;
use crate::kernel::{Kernel, Shape};
use crate::out::{Out, Slot, filled};
use crate::panels;
pub(crate) use bias::OfQuery;
pub use bias::{Bias, Decomposed};
use pack::BLOCK;
use queries::Queries;

/// Tasks for each thread: enough to even out threads of unequal speed.
const TASKS_PER_THREAD: usize = 4;
/// Fewest queries of a task, which packs its keys and values once.
const QUERIES: usize = 256;

/// `softmax(scale · q kᵀ + bias) v` for every head: products in the precision of `T`, all else in f32, rounded once
/// at the end.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a, T> {
    /// The sizes of all axes.
    pub size: AttentionSize,
    /// `[batch, queries, heads, channels]`.
    pub q: Heads<'a, T>,
    /// `[batch, keys, key_heads, channels]`.
    pub k: Heads<'a, T>,
    /// As `k`.
    pub v: Heads<'a, T>,
    /// On the scores; positive.
    pub scale: f32,
    /// Added to the scaled scores.
    pub bias: Option<Bias<'a>>,
    /// The keys that each query sees: `[queries]` or, one for each of the batch, `[batch, queries]`.
    pub sight: Option<&'a [Range<usize>]>,
}

/// The axes of an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionSize {
    /// Images or rows.
    pub batch: usize,
    /// Tokens that look.
    pub queries: usize,
    /// Tokens that are looked at.
    pub keys: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values, which divide those of the queries: neighbours share one.
    pub key_heads: usize,
    /// Channels of a head.
    pub channels: usize,
}

impl AttentionSize {
    /// Bytes that [`Attention::apply`] holds beside what it reads and writes: on each thread, the keys and values of a
    /// head and a block of queries with its scores.
    pub fn held<T: Element>(&self) -> usize {
        let Shape { columns, pairs, .. } = Kernel::choose::<T>(Isa::Avx512Bf16).shape();
        let Self { batch, queries, keys, heads, key_heads, channels } = *self;
        let steps = panels::steps(channels, pairs);
        let head = 2 * keys.next_multiple_of(BLOCK) * steps;
        let block = columns * (steps + BLOCK + panels::steps(BLOCK, pairs) + channels)
            + results::cells(channels, pairs, columns);
        let tasks = batch * key_heads * (heads / key_heads.max(1) * queries).div_ceil(QUERIES);
        tasks.min(rayon::current_num_threads()) * (head + block) * size_of::<u32>()
    }
}

/// A tensor `[batch, tokens, heads, channels]` where it lies: a channel's neighbour is the next element, the other
/// axes have steps in elements.
#[derive(Debug, Clone, Copy)]
pub struct Heads<'a, T> {
    /// From the first element on.
    pub values: &'a [T],
    /// From one image to the next.
    pub batch: usize,
    /// From one token to the next.
    pub token: usize,
    /// From one head to the next.
    pub head: usize,
}

impl<'a, T: Element> Heads<'a, T> {
    /// The channels of one token in one head.
    #[inline(always)]
    pub(crate) fn row(&self, image: usize, token: usize, head: usize, channels: usize) -> &'a [T] {
        &self.values[image * self.batch + token * self.token + head * self.head..][..channels]
    }

    fn check(&self, name: &str, batch: usize, tokens: usize, heads: usize, channels: usize) {
        let last = |count: usize, step: usize| count.saturating_sub(1) * step;
        let end = last(batch, self.batch) + last(tokens, self.token) + last(heads, self.head) + channels;
        assert!(
            batch * tokens * heads == 0 || end <= self.values.len(),
            "{name}: [{batch}, {tokens}, {heads}, {channels}] with these steps needs {end} elements, not {}",
            self.values.len()
        );
    }
}

impl<T: Element> Attention<'_, T> {
    /// Writes `[batch, queries, heads, channels]` to `out` and returns it. A query that sees no key gives zeros. Runs
    /// on the threads of rayon; a thread holds the keys and values of one head and a few blocks.
    ///
    /// # Panics
    /// When a length does not fit, a range goes beyond the keys, the heads do not divide, or the scale is not
    /// positive.
    pub fn apply<'o>(&self, out: &'o mut [impl Slot<T>]) -> &'o mut [T] {
        self.apply_at_most(Isa::Avx512Bf16, out)
    }

    /// As [`Attention::apply`], with no higher instructions than these; to compare them.
    ///
    /// # Panics
    /// As [`Attention::apply`].
    pub fn apply_at_most<'o>(&self, isa: Isa, out: &'o mut [impl Slot<T>]) -> &'o mut [T] {
        self.run(isa, out, None)
    }

    /// As [`Attention::apply`], which also writes what its backward pass needs to `logs`, `[batch, heads, queries]`: of
    /// each query, the logarithm to base 2 of the sum of the exponentials of its scores; infinite where it sees no key.
    ///
    /// # Panics
    /// As [`Attention::apply`].
    pub fn apply_kept<'o>(&self, out: &'o mut [impl Slot<T>], logs: &mut [f32]) -> &'o mut [T] {
        self.run(Isa::Avx512Bf16, out, Some(logs))
    }

    fn run<'o>(&self, isa: Isa, out: &'o mut [impl Slot<T>], logs: Option<&mut [f32]>) -> &'o mut [T] {
        self.check(out.len());
        let AttentionSize { batch, queries, heads, key_heads, channels, .. } = self.size;
        if let Some(logs) = &logs {
            assert_eq!(logs.len(), batch * heads * queries, "logs: not [{batch}, {heads}, {queries}]");
        }
        let logs = logs.map(Out::new);
        if out.is_empty() || channels == 0 {
            return &mut [];
        }
        let kernel = Kernel::choose::<T>(isa);
        let (pairs, rows) = (batch * key_heads, heads / key_heads * queries);
        let wanted = (TASKS_PER_THREAD * rayon::current_num_threads()).div_ceil(pairs);
        let chunk = rows.div_ceil(wanted).max(QUERIES).next_multiple_of(kernel.shape().columns);
        let chunks = rows.div_ceil(chunk);
        let places = Out::new(out);
        (0..pairs * chunks).into_par_iter().for_each(|i| {
            let (pair, first) = (i / chunks, i % chunks * chunk);
            let rows = first..rows.min(first + chunk);
            let (image, head) = (pair / key_heads, pair % key_heads);
            let task = Queries { attention: self, image, head, rows, out: places, logs };
            // SAFETY: lengths were checked; each query of each head is given out once.
            unsafe { kernel.run(&task) }
        });
        // SAFETY: tasks write the results of all of their queries, and these are all.
        unsafe { filled(out) }
    }

    pub(crate) fn check(&self, out: usize) {
        let AttentionSize { batch, queries, keys, heads, key_heads, channels } = self.size;
        assert!(key_heads > 0 && heads.is_multiple_of(key_heads), "{heads} heads on {key_heads}");
        assert!(self.scale > 0.0, "scale {}: must be positive", self.scale);
        self.q.check("q", batch, queries, heads, channels);
        self.k.check("k", batch, keys, key_heads, channels);
        self.v.check("v", batch, keys, key_heads, channels);
        assert_eq!(
            out,
            batch * queries * heads * channels,
            "out: not [{batch}, {queries}, {heads}, {channels}]"
        );
        if let Some(bias) = self.bias {
            bias.check(&self.size);
        }
        if let Some(sight) = self.sight {
            assert!(
                sight.len() == queries || sight.len() == batch * queries,
                "sight: not [{batch}?, {queries}]"
            );
            assert!(sight.iter().all(|s| s.is_empty() || s.end <= keys), "sight: beyond {keys} keys");
        }
    }

    /// The keys that a query of an image sees.
    #[inline(always)]
    pub(crate) fn seen(&self, image: usize, query: usize) -> Range<usize> {
        match self.sight {
            None => 0..self.size.keys,
            Some(sight) if sight.len() == self.size.queries => sight[query].clone(),
            Some(sight) => sight[image * self.size.queries + query].clone(),
        }
    }

    /// The biases of a query on all keys.
    #[inline(always)]
    pub(crate) fn bias(&self, place: [usize; 3]) -> OfQuery<'_> {
        self.bias.map_or(OfQuery::Nothing, |bias| bias.of(&self.size, place))
    }
}
