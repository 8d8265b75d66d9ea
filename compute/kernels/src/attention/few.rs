//! Few queries on many keys, as when a language model decodes: keys and values are read where they lie, once for all
//! queries of their head.

use std::f32::consts::LOG2_E;

use rayon::prelude::*;

use super::{Attention, AttentionSize, Heads};
use crate::element::Element;
use crate::lanes::{self, LANES, Lanes, Work};
use crate::out::{Out, Slot, filled};
use crate::tile::exp2;

/// Keys whose scores are held at a time.
const BLOCK: usize = 256;

impl<T: Element> Attention<'_, T> {
    /// As [`Attention::apply`], faster for one query or a few: products are in f32 whatever `T` is, so results
    /// may differ from those of `apply` by the rounding of `T`. Runs on the threads of rayon, a head of keys on one
    /// of them; a query's result depends neither on the queries beside it nor on the threads.
    ///
    /// # Panics
    /// As [`Attention::apply`].
    pub fn apply_few<'o>(&self, out: &'o mut [impl Slot<T>]) -> &'o mut [T] {
        self.check(out.len());
        let AttentionSize { batch, key_heads, channels, .. } = self.size;
        if out.is_empty() || channels == 0 {
            return &mut [];
        }
        let places = Out::new(out);
        (0..batch * key_heads).into_par_iter().for_each(|i| {
            lanes::run(Few { attention: self, image: i / key_heads, head: i % key_heads, out: places });
        });
        // SAFETY: tasks write the results of all queries that share a head of keys, and these are all.
        unsafe { filled(out) }
    }
}

/// The queries of one image that share a head of keys.
struct Few<'a, T> {
    attention: &'a Attention<'a, T>,
    image: usize,
    /// Of the keys.
    head: usize,
    out: Out<T>,
}

/// One query of one head.
struct Row {
    query: usize,
    head: usize,
    /// Of the scores so far; [`f32::MIN`] while no key was seen, so that a hidden score weighs nothing.
    max: f32,
    /// Of the weights relative to it.
    sum: f32,
}

impl<T: Element> Work for Few<'_, T> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Self { attention, image, head, out } = self;
        let AttentionSize { queries, heads, key_heads, channels, .. } = attention.size;
        let group = heads / key_heads;
        let width = channels.next_multiple_of(LANES);
        let mut rows: Vec<Row> = (0..group * queries)
            .map(|i| Row { query: i % queries, head: head * group + i / queries, max: f32::MIN, sum: 0.0 })
            .collect();
        let seen = |row: &Row| attention.seen(image, row.query);
        let looked_at = rows.iter().map(&seen).filter(|s| !s.is_empty());
        let first = looked_at.clone().map(|s| s.start).min().unwrap_or(0);
        let end = looked_at.map(|s| s.end).max().unwrap_or(0);

        let mut q = vec![0f32; rows.len() * width];
        for (row, to) in rows.iter().zip(q.chunks_exact_mut(width)) {
            let from = attention.q.row(image, row.query, row.head, channels);
            to.iter_mut().zip(from).for_each(|(to, x)| *to = x.widen() * attention.scale);
        }
        let mut wide = vec![0f32; width];
        let mut scores = vec![0f32; rows.len() * BLOCK];
        let mut mixed = vec![0f32; rows.len() * width];
        // Blocks at fixed places, so that a query's sums do not depend on what others see.
        for start in (first / BLOCK * BLOCK..end).step_by(BLOCK) {
            let keys = start..end.min(start + BLOCK);
            for key in keys.clone() {
                let k = widened::<T, L>(&attention.k, [image, key, head], channels, &mut wide);
                for (q, scores) in q.chunks_exact(width).zip(scores.chunks_exact_mut(BLOCK)) {
                    let mut sum = L::splat(0.0);
                    for (k, q) in k.chunks_exact(LANES).zip(q.chunks_exact(LANES)) {
                        // SAFETY: chunks of so many numbers.
                        sum = unsafe { L::load(k.as_ptr()).mul_add(L::load(q.as_ptr()), sum) };
                    }
                    scores[key - start] = total(sum.to_array());
                }
            }
            let parts = scores.chunks_exact_mut(BLOCK).zip(mixed.chunks_exact_mut(width));
            for (row, (scores, mixed)) in rows.iter_mut().zip(parts) {
                let (seen, bias) = (seen(row), attention.bias([image, row.head, row.query]));
                let scores = &mut scores[..keys.len()];
                let mut max = row.max;
                for (score, key) in scores.iter_mut().zip(keys.clone()) {
                    let biased = *score + bias.at(key);
                    *score = if seen.contains(&key) { biased } else { f32::NEG_INFINITY };
                    max = if *score > max { *score } else { max };
                }
                let correction = exp2((row.max - max) * LOG2_E);
                row.sum *= correction;
                mixed.iter_mut().for_each(|x| *x *= correction);
                for score in &mut *scores {
                    *score = exp2((*score - max) * LOG2_E);
                }
                row.sum += scores.iter().sum::<f32>();
                row.max = max;
            }
            for key in keys.clone() {
                let v = widened::<T, L>(&attention.v, [image, key, head], channels, &mut wide);
                for (mixed, scores) in mixed.chunks_exact_mut(width).zip(scores.chunks_exact(BLOCK)) {
                    let weight = L::splat(scores[key - start]);
                    for (mixed, v) in mixed.chunks_exact_mut(LANES).zip(v.chunks_exact(LANES)) {
                        // SAFETY: as above.
                        unsafe {
                            weight
                                .mul_add(L::load(v.as_ptr()), L::load(mixed.as_ptr()))
                                .store(mixed.as_mut_ptr());
                        }
                    }
                }
            }
        }
        for (row, mixed) in rows.iter().zip(mixed.chunks_exact(width)) {
            let share = if row.sum == 0.0 { 0.0 } else { 1.0 / row.sum };
            let place = ((image * queries + row.query) * heads + row.head) * channels;
            for (place, x) in (place..place + channels).zip(mixed) {
                // SAFETY: the length was checked, and each query of each head belongs to one task.
                unsafe { out.set(place, [T::round(x * share)]) };
            }
        }
    }
}

/// The channels of one token of one head, `[image, token, head]`, in f32 and filled up with zeros.
#[inline(always)]
fn widened<'a, T: Element, L: Lanes>(
    heads: &Heads<'_, T>,
    [image, token, head]: [usize; 3],
    channels: usize,
    wide: &'a mut [f32],
) -> &'a [f32] {
    let row = heads.row(image, token, head, channels);
    let (whole, rest) = row.as_chunks::<LANES>();
    let (first, last) = wide.split_at_mut(whole.len() * LANES);
    for (to, from) in first.chunks_exact_mut(LANES).zip(whole) {
        // SAFETY: chunks of so many numbers.
        unsafe { L::load(from.as_ptr()).store(to.as_mut_ptr()) };
    }
    last.iter_mut().zip(rest).for_each(|(to, x)| *to = x.widen());
    wide
}

/// The sum, by halves.
#[inline(always)]
fn total(mut x: [f32; LANES]) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            x[i] += x[i + half];
        }
    }
    x[0]
}
