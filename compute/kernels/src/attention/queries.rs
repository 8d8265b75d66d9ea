//! Which queries a task has, and where they lie.

use std::ops::Range;

use super::{Attention, AttentionSize};
use crate::element::Element;
use crate::out::Out;

/// The queries of one image that share a head of keys: rows are tokens of the first of their heads, then of the
/// next.
pub(super) struct Queries<'a, T> {
    pub attention: &'a Attention<'a, T>,
    pub image: usize,
    /// Of the keys.
    pub head: usize,
    pub rows: Range<usize>,
    pub out: Out<T>,
    /// `[batch, heads, queries]`, for a backward pass.
    pub logs: Option<Out<f32>>,
}

impl<T: Element> Queries<'_, T> {
    /// The head and the token of a row.
    #[inline(always)]
    pub fn place(&self, row: usize) -> (usize, usize) {
        let AttentionSize { heads, key_heads, queries, .. } = self.attention.size;
        (self.head * (heads / key_heads) + row / queries, row % queries)
    }

    #[inline(always)]
    pub fn query(&self, row: usize) -> &[T] {
        let (head, query) = self.place(row);
        self.attention.q.row(self.image, query, head, self.attention.size.channels)
    }

    /// Where the results of a row begin.
    #[inline(always)]
    pub fn start(&self, row: usize) -> usize {
        let AttentionSize { heads, queries, channels, .. } = self.attention.size;
        let (head, query) = self.place(row);
        ((self.image * queries + query) * heads + head) * channels
    }

    /// The keys between the first and the last that any of `rows` sees.
    #[inline(always)]
    pub fn sight(&self, rows: Range<usize>) -> Range<usize> {
        let AttentionSize { queries, keys, .. } = self.attention.size;
        if self.attention.sight.is_none() {
            return 0..keys;
        }
        let (mut start, mut end) = (keys, 0);
        for row in rows {
            let seen = self.attention.seen(self.image, row % queries);
            if !seen.is_empty() {
                (start, end) = (start.min(seen.start), end.max(seen.end));
            }
        }
        start.min(end)..end
    }
}
