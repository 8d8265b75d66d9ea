//! Attention of a grid of queries, each to the cells under it: windows are read where they lie.

use rayon::prelude::*;

use crate::element::Element;
use crate::lanes::{self, LANES, Lanes, Work};
use crate::out::{Out, Slot, filled};

/// Queries of a task.
const QUERIES: usize = 8;

/// Attention of each query to the `m × m` cells under it in every source, in one softmax over all of them. Scores and
/// softmax in f32.
#[derive(Debug, Clone, Copy)]
pub struct LocalAttention<'a, T> {
    /// Grids of queries.
    pub images: usize,
    /// Rows and columns of the grid of queries.
    pub grid: (usize, usize),
    /// Equal parts of the channels, each with a softmax of its own.
    pub heads: usize,
    /// `[images, queries, C]`.
    pub queries: &'a [T],
    /// What scores are multiplied with.
    pub scale: f32,
    /// What the queries look at.
    pub sources: &'a [FineGrid<'a, T>],
    /// Added to the scores, `[images, queries, keys of all sources]`.
    pub bias: Option<&'a [f32]>,
}

/// Keys and values on a grid that is `m` times as fine as that of the queries.
#[derive(Debug, Clone, Copy)]
pub struct FineGrid<'a, T> {
    /// Cells of a query on each axis.
    pub m: usize,
    /// `[images, cells, C]`, in raster order.
    pub keys: &'a [T],
    /// As the keys.
    pub values: &'a [T],
}

impl<T: Element> LocalAttention<'_, T> {
    /// Writes what the queries see to `out`, `[images, queries, C]`, and returns it; and how they look,
    /// `[images, queries, heads, keys]` with the keys of a window row by row and the sources one after the other, to
    /// `weights`. Runs on the threads of rayon; a query depends on nothing but its own keys, bit by bit.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn apply<'o>(&self, out: &'o mut [impl Slot<T>], weights: &mut [f32]) -> &'o mut [T] {
        assert_eq!(out.len(), self.queries.len(), "out and queries");
        let queries = self.images * self.grid.0 * self.grid.1;
        let keys: usize = self.sources.iter().map(|source| source.m * source.m).sum();
        if queries == 0 || self.queries.is_empty() {
            assert!(out.is_empty(), "queries: none on this grid");
            return &mut [];
        }
        let width = self.queries.len() / queries;
        assert_eq!(self.queries.len(), queries * width, "queries: not [{queries}, {width}]");
        assert!(width.is_multiple_of(self.heads), "{width} channels in {} heads", self.heads);
        assert_eq!(
            weights.len(),
            queries * self.heads * keys,
            "weights: not [{queries}, {}, {keys}]",
            self.heads
        );
        assert!(self.bias.is_none_or(|bias| bias.len() == queries * keys), "bias: not [{queries}, {keys}]");
        for FineGrid { m, keys, values } in self.sources {
            let count = queries * m * m * width;
            assert!(
                keys.len() == count && values.len() == count,
                "a source: not [{}, {width}]",
                queries * m * m
            );
        }
        let (places, weights) = (Out::new(out), Out::new(weights));
        (0..queries.div_ceil(QUERIES)).into_par_iter().for_each(|task| {
            let queries = task * QUERIES..queries.min((task + 1) * QUERIES);
            lanes::run(LocalQueries { attention: self, queries, keys, width, out: places, weights });
        });
        // SAFETY: the tasks are all queries, of which all channels are written.
        unsafe { filled(out) }
    }
}

/// Some queries.
struct LocalQueries<'a, T> {
    attention: &'a LocalAttention<'a, T>,
    queries: std::ops::Range<usize>,
    keys: usize,
    width: usize,
    out: Out<T>,
    weights: Out<f32>,
}

impl<T: Element> Work for LocalQueries<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { attention, queries, keys, width, out, weights } = self;
        let heads = attention.heads;
        let mut sums = vec![0.0; width];
        for query in queries {
            // SAFETY: within the slices, whose lengths were checked, and this query's alone.
            let weights = unsafe { weights.slice(query * heads * keys, heads * keys) };
            let q = &attention.queries[query * width..][..width];
            let bias = attention.bias.map(|bias| &bias[query * keys..][..keys]);
            attention.each_key(query, width, |_, source, key, cell| {
                let k = &source.keys[cell..][..width];
                let parts = q.chunks_exact(width / heads).zip(k.chunks_exact(width / heads));
                for (head, (q, k)) in parts.enumerate() {
                    weights[head * keys + key] =
                        dot::<L, T>(q, k) * attention.scale + bias.map_or(0.0, |b| b[key]);
                }
            });
            weights.chunks_exact_mut(keys).for_each(softmax);
            sums.fill(0.0);
            attention.each_key(query, width, |_, source, key, cell| {
                let v = &source.values[cell..][..width];
                let parts = sums.chunks_exact_mut(width / heads).zip(v.chunks_exact(width / heads));
                for (head, (sums, v)) in parts.enumerate() {
                    let weight = weights[head * keys + key];
                    sums.iter_mut().zip(v).for_each(|(sum, v)| *sum += weight * v.widen());
                }
            });
            for (place, &sum) in (query * width..).zip(&sums) {
                // SAFETY: as above; there are `width` sums.
                unsafe { out.set(place, [T::round(sum)]) };
            }
        }
    }
}

impl<T: Element> LocalAttention<'_, T> {
    /// Calls `visit` with each key of a query: its source and which that is, its number among all, and where its cell begins.
    #[inline(always)]
    pub(crate) fn each_key(
        &self,
        query: usize,
        width: usize,
        mut visit: impl FnMut(usize, &FineGrid<'_, T>, usize, usize),
    ) {
        let (h, w) = self.grid;
        let (image, i, j) = (query / (h * w), query / w % h, query % w);
        let mut key = 0;
        for (index, source) in self.sources.iter().enumerate() {
            let m = source.m;
            for u in 0..m {
                let row = ((image * h + i) * m + u) * w * m + j * m;
                for v in 0..m {
                    visit(index, source, key, (row + v) * width);
                    key += 1;
                }
            }
        }
    }
}

#[inline(always)]
pub(crate) fn dot<L: Lanes, T: Element>(x: &[T], y: &[T]) -> f32 {
    let (wide_x, rest_x) = x.as_chunks::<LANES>();
    let (wide_y, rest_y) = y.as_chunks::<LANES>();
    let mut sums = L::splat(0.0);
    for (x, y) in wide_x.iter().zip(wide_y) {
        // SAFETY: arrays of that length.
        unsafe { sums = L::load(x.as_ptr()).mul_add(L::load(y.as_ptr()), sums) };
    }
    let rest: f32 = rest_x.iter().zip(rest_y).map(|(x, y)| x.widen() * y.widen()).sum();
    sums.to_array().iter().sum::<f32>() + rest
}

/// In place. Keys at -∞ get nothing, unless all are.
#[inline(always)]
fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        total += *score;
    }
    scores.iter_mut().for_each(|score| *score /= total);
}

/// Adds to each cell of `x`, `[images · grid · m², C]` in raster order, the vector of its place in its window,
/// `[m², C]`, writes the sums to `out` and returns it. Runs on the threads of rayon.
///
/// # Panics
/// When a length does not fit.
pub fn add_per_key<'o, T: Element>(
    x: &[T],
    places: &[T],
    columns: usize,
    m: usize,
    out: &'o mut [impl Slot<T>],
) -> &'o mut [T] {
    let width = places.len() / (m * m).max(1);
    assert_eq!(places.len(), m * m * width, "places: not [{}, C]", m * m);
    assert_eq!(x.len(), out.len(), "x and out");
    let row = columns * m * width;
    assert!(row > 0 && x.len().is_multiple_of(row * m), "x: not rows of {columns} windows");
    out.par_chunks_mut(row).zip(x.par_chunks(row)).enumerate().for_each(|(index, (out, x))| {
        lanes::run(Row { out, x, places: &places[index % m * m * width..][..m * width] });
    });
    // SAFETY: these are all rows, each of whole rows of windows.
    unsafe { filled(out) }
}

/// A row of cells, and the places of a row of a window.
struct Row<'a, T, P> {
    out: &'a mut [P],
    x: &'a [T],
    places: &'a [T],
}

impl<T: Element, P: Slot<T>> Work for Row<'_, T, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let windows = self.out.chunks_exact_mut(self.places.len());
        for (out, x) in windows.zip(self.x.chunks_exact(self.places.len())) {
            for ((out, x), place) in out.iter_mut().zip(x).zip(self.places) {
                out.put(T::round(x.widen() + place.widen()));
            }
        }
    }
}
