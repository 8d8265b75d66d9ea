//! The backward pass of attention to the cells under a query.

use rayon::prelude::*;

use crate::element::Element;
use crate::lanes::{self, Lanes, Work};
use crate::local_attention::{LocalAttention, dot};
use crate::out::Out;

/// Queries of a task.
const QUERIES: usize = 8;

/// Gradients of what [`LocalAttention`] reads, in the same shapes.
#[derive(Debug)]
pub struct LocalGradients<'a, T> {
    /// `[images, queries, C]`.
    pub queries: &'a mut [T],
    /// Keys and values of each source.
    pub sources: Vec<[&'a mut [T]; 2]>,
}

impl<T: Element> LocalAttention<'_, T> {
    /// Writes the gradients for the gradient of what the queries see, `[images, queries, C]`, and the weights that
    /// [`LocalAttention::apply`] wrote. Each cell belongs to one query, so nothing is summed over queries. Runs on the
    /// threads of rayon.
    ///
    /// # Panics
    /// When a length does not fit.
    pub fn gradient(&self, weights: &[f32], gradient: &[T], to: LocalGradients<'_, T>) {
        let queries = self.images * self.grid.0 * self.grid.1;
        let keys: usize = self.sources.iter().map(|source| source.m * source.m).sum();
        assert!(gradient.len() == self.queries.len() && to.queries.len() == gradient.len(), "queries");
        if gradient.is_empty() {
            return;
        }
        let width = gradient.len() / queries;
        assert!(width.is_multiple_of(self.heads), "{width} channels in {} heads", self.heads);
        assert_eq!(
            weights.len(),
            queries * self.heads * keys,
            "weights: not [{queries}, {}, {keys}]",
            self.heads
        );
        assert_eq!(to.sources.len(), self.sources.len(), "sources");
        let fits = |(to, source): (&[&mut [T]; 2], &crate::FineGrid<'_, T>)| {
            let count = queries * source.m * source.m * width;
            [to[0].len(), to[1].len(), source.keys.len(), source.values.len()] == [count; 4]
        };
        assert!(to.sources.iter().zip(self.sources).all(fits), "sources");
        let places = Places {
            queries: Out::new(to.queries),
            sources: to.sources.into_iter().map(|parts| parts.map(|part| Out::new(part))).collect(),
        };
        (0..queries.div_ceil(QUERIES)).into_par_iter().for_each(|task| {
            let queries = task * QUERIES..queries.min((task + 1) * QUERIES);
            lanes::run(Task { attention: self, weights, gradient, queries, keys, width, places: &places });
        });
    }
}

struct Places<T> {
    queries: Out<T>,
    sources: Vec<[Out<T>; 2]>,
}

/// Some queries.
struct Task<'a, T> {
    attention: &'a LocalAttention<'a, T>,
    weights: &'a [f32],
    gradient: &'a [T],
    queries: std::ops::Range<usize>,
    keys: usize,
    width: usize,
    places: &'a Places<T>,
}

impl<T: Element> Work for Task<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { attention, weights, gradient, queries, keys, width, places } = self;
        let (heads, scale) = (attention.heads, attention.scale);
        let head = width / heads;
        let (mut slopes, mut sums) = (vec![0.0; heads * keys], vec![0.0; width]);
        for query in queries {
            let weights = &weights[query * heads * keys..][..heads * keys];
            let q = &attention.queries[query * width..][..width];
            let gradient = &gradient[query * width..][..width];
            attention.each_key(query, width, |_, source, key, cell| {
                let v = &source.values[cell..][..width];
                for (h, (g, v)) in gradient.chunks_exact(head).zip(v.chunks_exact(head)).enumerate() {
                    slopes[h * keys + key] = dot::<L, T>(g, v);
                }
            });
            for (slopes, weights) in slopes.chunks_exact_mut(keys).zip(weights.chunks_exact(keys)) {
                let level: f32 = slopes.iter().zip(weights).map(|(slope, weight)| slope * weight).sum();
                for (slope, weight) in slopes.iter_mut().zip(weights) {
                    // A key that is not seen, whose values may be anything.
                    *slope = if *weight == 0.0 { 0.0 } else { weight * (*slope - level) * scale };
                }
            }
            sums.fill(0.0);
            attention.each_key(query, width, |index, source, key, cell| {
                let k = &source.keys[cell..][..width];
                // SAFETY: the cell lies inside, whose lengths were checked, and is this query's alone.
                let [to_k, to_v] = places.sources[index].map(|out| unsafe { out.slice(cell, width) });
                for h in 0..heads {
                    let part = h * head..(h + 1) * head;
                    let (slope, weight) = (slopes[h * keys + key], weights[h * keys + key]);
                    let (q, k, g) = (&q[part.clone()], &k[part.clone()], &gradient[part.clone()]);
                    sums[part.clone()].iter_mut().zip(k).for_each(|(sum, k)| *sum += slope * k.widen());
                    to_k[part.clone()]
                        .iter_mut()
                        .zip(q)
                        .for_each(|(to, q)| *to = T::round(slope * q.widen()));
                    to_v[part].iter_mut().zip(g).for_each(|(to, g)| *to = T::round(weight * g.widen()));
                }
            });
            // SAFETY: as above, for a query.
            let to = unsafe { places.queries.slice(query * width, width) };
            to.iter_mut().zip(&sums).for_each(|(to, sum)| *to = T::round(*sum));
        }
    }
}

/// Writes the gradients of the vectors that [`add_per_key`](crate::add_per_key) adds, `[m², C]`, for that of its result,
/// `[images · grid · m², C]`, to `out`: sums over windows, in their order. Runs on the threads of rayon.
///
/// # Panics
/// When a length does not fit.
pub fn sum_per_key<T: Element>(gradient: &[T], columns: usize, m: usize, out: &mut [f32]) {
    let width = out.len() / (m * m).max(1);
    assert!(width > 0 && out.len() == m * m * width, "out: not [{}, C]", m * m);
    let line = columns * m * width;
    assert!(line > 0 && gradient.len().is_multiple_of(line * m), "gradient: not rows of {columns} windows");
    out.par_chunks_mut(m * width).enumerate().for_each(|(u, out)| {
        let lines = gradient.chunks_exact(line).skip(u).step_by(m);
        lanes::run(Lines { lines, out });
    });
}

struct Lines<'a, I> {
    lines: I,
    out: &'a mut [f32],
}

impl<'g, T: Element, I: Iterator<Item = &'g [T]>> Work for Lines<'_, I> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { lines, out } = self;
        let mut turn = vec![0f32; out.len()];
        out.fill(0.0);
        for line in lines {
            // By itself, before it is added to the others, so that small numbers are not lost in a long sum.
            turn.fill(0.0);
            for window in line.chunks_exact(turn.len()) {
                turn.iter_mut().zip(window).for_each(|(sum, x)| *sum += x.widen());
            }
            out.iter_mut().zip(&turn).for_each(|(out, turn)| *out += turn);
        }
    }
}
