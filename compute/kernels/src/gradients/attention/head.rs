//! A head of an image, block of queries by block of keys.
//!
//! Keys lie in the lanes of the vector unit: a tile is some queries by as many keys as a panel has columns. In this form
//! weights and their gradients are read by the products that make the gradients of values and keys; only for those of the
//! queries they are turned.

use std::cell::Cell;
use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::{AttentionGradient, Place};
use crate::attention::{AttentionSize, Heads, OfQuery};
use crate::element::Element;
use crate::out::Out;
use crate::panels::{self, Line, room, weave_rows};
use crate::tile::{Flat, Job, Tile, exp2};

/// Queries of a block: a multiple of every tile's rows.
const QUERIES: usize = 96;
/// Panels of keys of a block.
const PANELS: usize = 4;

/// A head of the queries of an image.
pub(super) struct Task<'a, T> {
    pub of: &'a AttentionGradient<'a, T>,
    pub image: usize,
    pub head: usize,
    pub q: Place<T>,
    pub k: Place<T>,
    pub v: Place<T>,
    /// `[batch, heads, 2, keys, channels]`, where several heads share keys.
    pub shared: Option<Out<f32>>,
    pub bias: Option<[Out<f32>; 2]>,
}

/// Memory of a thread, kept for its next task.
#[derive(Default)]
struct Scratch {
    /// Queries and gradients as rows of tiles, and the same turned.
    tiles: [Vec<Line>; 2],
    turned: [Vec<Line>; 2],
    /// Keys and values of a block as panels, and the rows of its keys.
    panels: [Vec<Line>; 3],
    /// Weights and their gradients, `[panel][query][lane]`.
    weights: [Vec<Line>; 2],
    /// Gradients of a tile turned.
    flipped: Vec<Line>,
    /// Gradients of queries, and of the keys and values of a block.
    sums: [Vec<Line>; 3],
    deltas: Vec<f32>,
}

impl<T: Element> Job for Task<'_, T> {
    /// # Safety
    /// That of [`Job::run`]; the places of this head are nobody else's.
    #[inline(always)]
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self) {
        thread_local!(static SCRATCH: Cell<Scratch> = Cell::default());
        let mut scratch = SCRATCH.take();
        // SAFETY: the caller's.
        unsafe { self.compute::<K, COLUMNS>(&mut scratch) };
        SCRATCH.set(scratch);
    }
}

impl<T: Element> Task<'_, T> {
    fn row<'r>(&self, heads: &Heads<'r, T>, token: usize, head: usize) -> &'r [T] {
        heads.row(self.image, token, head, self.of.attention.size.channels)
    }

    /// Of what is `[batch, queries, heads, channels]`.
    fn packed<'r>(&self, values: &'r [T], token: usize) -> &'r [T] {
        let AttentionSize { queries, heads, channels, .. } = self.of.attention.size;
        &values[((self.image * queries + token) * heads + self.head) * channels..][..channels]
    }

    /// # Safety
    /// As for `run`.
    #[inline(always)]
    #[expect(clippy::too_many_lines, reason = "one pass over blocks, whose parts share all of their memory")]
    unsafe fn compute<K: Tile<COLUMNS>, const COLUMNS: usize>(&self, scratch: &mut Scratch) {
        let attention = &self.of.attention;
        let AttentionSize { queries, keys, heads, key_heads, channels, .. } = attention.size;
        let key_head = self.head / (heads / key_heads);
        let (tile, ones) = (channels * K::ROWS, [1.0; COLUMNS]);
        // Of the two heights, the one that needs less filling up.
        let [high, low] = [K::ROWS, K::SHORT].map(|height| channels.next_multiple_of(height));
        let (height, filled) = if low < high { (K::SHORT, low) } else { (K::ROWS, high) };
        let (blocks, across) = (queries.div_ceil(QUERIES), channels.div_ceil(COLUMNS));
        let block_keys = PANELS * COLUMNS;

        let Scratch { tiles, turned, panels, weights, flipped, sums, deltas } = scratch;
        let [q_tiles, g_tiles] = tiles;
        let [q_turned, g_turned] = turned;
        let [k_panels, v_panels, k_rows] = panels;
        let [weights, slopes] = weights;
        let [q_sums, k_sums, v_sums] = sums;
        let cells = |lines, count: usize| &mut panels::cells_mut(room(lines, count))[..count];
        let floats = |lines, count: usize| &mut panels::floats_mut(room(lines, count))[..count];
        let all_tiles = queries.div_ceil(K::ROWS);
        let (q_tiles, g_tiles) = (cells(q_tiles, all_tiles * tile), cells(g_tiles, all_tiles * tile));
        let turned = blocks * filled * QUERIES;
        let (q_turned, g_turned) = (cells(q_turned, turned), cells(g_turned, turned));
        let panel = channels * COLUMNS;
        let (k_panels, v_panels) = (cells(k_panels, PANELS * panel), cells(v_panels, PANELS * panel));
        let k_rows = cells(k_rows, across * block_keys * COLUMNS);
        let (weights, _) = floats(weights, PANELS * QUERIES * COLUMNS).as_chunks_mut::<COLUMNS>();
        let (slopes, _) = floats(slopes, PANELS * QUERIES * COLUMNS).as_chunks_mut::<COLUMNS>();
        let flipped = cells(flipped, block_keys * K::ROWS);
        let (q_sums, _) = floats(q_sums, all_tiles * across * K::ROWS * COLUMNS).as_chunks_mut::<COLUMNS>();
        let (k_sums, _) = floats(k_sums, PANELS * filled * COLUMNS).as_chunks_mut::<COLUMNS>();
        let (v_sums, _) = floats(v_sums, PANELS * filled * COLUMNS).as_chunks_mut::<COLUMNS>();

        let query = |token: usize| self.row(&attention.q, token, self.head);
        let gradient = |token: usize| self.packed(self.of.gradient, token);
        for i in 0..all_tiles {
            let (start, part) = (i * K::ROWS, i * tile..(i + 1) * tile);
            let count = K::ROWS.min(queries - start);
            // SAFETY: the caller's.
            unsafe {
                weave_rows::<K, T, COLUMNS>(&mut q_tiles[part.clone()], K::ROWS, channels, count, |r| {
                    query(start + r)
                });
                weave_rows::<K, T, COLUMNS>(&mut g_tiles[part], K::ROWS, channels, count, |r| {
                    gradient(start + r)
                });
            }
        }
        turn(q_turned, queries, filled, height, query);
        turn(g_turned, queries, filled, height, gradient);
        deltas.clear();
        deltas.extend((0..queries).map(|token| {
            let numbers = gradient(token).iter().zip(self.packed(self.of.out, token));
            numbers.map(|(g, o)| g.widen() * o.widen()).sum::<f32>()
        }));
        q_sums.as_flattened_mut().fill(0.0);

        for first in (0..keys).step_by(block_keys) {
            let present = block_keys.min(keys - first);
            let used = present.div_ceil(COLUMNS);
            let key = |token: usize| self.row(&attention.k, first + token, key_head);
            let value = |token: usize| self.row(&attention.v, first + token, key_head);
            for p in 0..used {
                let (start, part) = (p * COLUMNS, p * panel..(p + 1) * panel);
                let count = COLUMNS.min(present - start);
                // SAFETY: the caller's.
                unsafe {
                    weave_rows::<K, T, COLUMNS>(&mut k_panels[part.clone()], COLUMNS, channels, count, |r| {
                        key(start + r)
                    });
                    weave_rows::<K, T, COLUMNS>(&mut v_panels[part], COLUMNS, channels, count, |r| {
                        value(start + r)
                    });
                }
            }
            for (j, rows) in k_rows.chunks_exact_mut(block_keys * COLUMNS).enumerate() {
                for (token, cells) in rows.chunks_exact_mut(COLUMNS).enumerate().take(present) {
                    let numbers = key(token)[j * COLUMNS..].iter().map(|x| x.widen().to_bits());
                    cells.iter_mut().zip(numbers.chain(std::iter::repeat(0))).for_each(|(to, x)| *to = x);
                }
            }
            k_sums.as_flattened_mut().fill(0.0);
            v_sums.as_flattened_mut().fill(0.0);

            for block in 0..blocks {
                let rows = block * QUERIES..queries.min((block + 1) * QUERIES);
                if !self.sees(rows.clone(), first..first + present) {
                    continue;
                }
                let (tiles, of_block) = (rows.len().div_ceil(K::ROWS), rows.start / K::ROWS);
                for p in 0..used {
                    for i in 0..tiles {
                        let (from, to) = ((of_block + i) * tile, p * QUERIES + i * K::ROWS);
                        // SAFETY: the slices hold that much; panels begin on cache lines.
                        unsafe {
                            let panel = p * panel;
                            let (q, k) = (&q_tiles[from..from + tile], &k_panels[panel..]);
                            let sums = weights[to..to + K::ROWS].as_mut_ptr();
                            K::sums::<Flat>(channels, q.as_ptr(), k.as_ptr(), sums);
                            let (g, v) = (&g_tiles[from..from + tile], &v_panels[panel..]);
                            let sums = slopes[to..to + K::ROWS].as_mut_ptr();
                            K::sums::<Flat>(channels, g.as_ptr(), v.as_ptr(), sums);
                        }
                    }
                    let part = p * QUERIES..p * QUERIES + tiles * K::ROWS;
                    let start = first + p * COLUMNS;
                    let (weights, slopes) = (&mut weights[part.clone()], &mut slopes[part]);
                    self.weigh(rows.clone(), start, deltas, weights, slopes);
                }
                let steps = rows.len();
                for p in 0..used {
                    let (w, s) =
                        (weights[p * QUERIES..].as_ptr().cast(), slopes[p * QUERIES..].as_ptr().cast());
                    for j in 0..filled / height {
                        let (from, to) =
                            ((block * (filled / height) + j) * QUERIES * height, p * filled + j * height);
                        let part = from..from + steps * height;
                        // SAFETY: as above; a block has room for as many queries.
                        unsafe {
                            let (g, q) = (&g_turned[part.clone()], &q_turned[part]);
                            let sums = v_sums[to..to + height].as_mut_ptr();
                            K::add(height, steps, g.as_ptr(), w, &ones, sums);
                            let sums = k_sums[to..to + height].as_mut_ptr();
                            K::add(height, steps, q.as_ptr(), s, &ones, sums);
                        }
                    }
                }
                for i in 0..tiles {
                    for p in 0..used {
                        let part = &slopes[p * QUERIES + i * K::ROWS..][..K::ROWS];
                        for (r, row) in part.iter().enumerate() {
                            let to = flipped[p * COLUMNS * K::ROWS + r..].iter_mut().step_by(K::ROWS);
                            to.zip(row).for_each(|(to, x)| *to = x.to_bits());
                        }
                    }
                    for j in 0..across {
                        let to = ((of_block + i) * across + j) * K::ROWS;
                        let k = &k_rows[j * block_keys * COLUMNS..][..present * COLUMNS];
                        // SAFETY: as above.
                        unsafe {
                            let sums = q_sums[to..to + K::ROWS].as_mut_ptr();
                            K::add(K::ROWS, present, flipped.as_ptr(), k.as_ptr(), &ones, sums);
                        }
                    }
                }
            }
            for key in 0..present {
                let (p, lane) = (key / COLUMNS, key % COLUMNS);
                let of = |sums: &[[f32; COLUMNS]]| {
                    let part = &sums[p * filled..][..channels];
                    part.iter().map(|row| row[lane]).collect::<Vec<_>>()
                };
                let (k, v) = (of(k_sums), of(v_sums));
                // SAFETY: the caller's.
                unsafe { self.leave([first + key, key_head], &k, &v) };
            }
        }
        for token in 0..queries {
            let (i, r) = (token / K::ROWS, token % K::ROWS);
            let row = (0..channels).map(|c| q_sums[(i * across + c / COLUMNS) * K::ROWS + r][c % COLUMNS]);
            // SAFETY: the caller's.
            unsafe { self.q.put([self.image, token, self.head], row) };
        }
    }

    /// # Safety
    /// The key is this task's.
    #[inline(always)]
    unsafe fn leave(&self, [token, key_head]: [usize; 2], k: &[f32], v: &[f32]) {
        let AttentionSize { keys, heads, channels, .. } = self.of.attention.size;
        // SAFETY: the caller's; the places were found to be long enough.
        unsafe {
            match self.shared {
                None => {
                    self.k.put([self.image, token, key_head], k.iter().copied());
                    self.v.put([self.image, token, key_head], v.iter().copied());
                }
                Some(shared) => {
                    let head = self.image * heads + self.head;
                    shared.slice((2 * head * keys + token) * channels, channels).copy_from_slice(k);
                    shared.slice(((2 * head + 1) * keys + token) * channels, channels).copy_from_slice(v);
                }
            }
        }
    }

    /// Whether any of the queries sees any of the keys.
    fn sees(&self, queries: Range<usize>, keys: Range<usize>) -> bool {
        let attention = &self.of.attention;
        attention.sight.is_none()
            || queries.into_iter().any(|query| {
                let seen = attention.seen(self.image, query);
                seen.start < keys.end && keys.start < seen.end
            })
    }

    /// From scores to weights, and from gradients of weights to those of what is multiplied with the keys, of the
    /// queries `rows` on the keys from `first` on.
    #[inline(always)]
    fn weigh<const COLUMNS: usize>(
        &self,
        rows: Range<usize>,
        first: usize,
        deltas: &[f32],
        weights: &mut [[f32; COLUMNS]],
        slopes: &mut [[f32; COLUMNS]],
    ) {
        let attention = &self.of.attention;
        let AttentionSize { queries, keys, heads, .. } = attention.size;
        let scale = attention.scale;
        let (live, rest) = weights.split_at_mut(rows.len());
        let (live_slopes, rest_slopes) = slopes.split_at_mut(rows.len());
        rest.as_flattened_mut().fill(0.0);
        rest_slopes.as_flattened_mut().fill(0.0);
        let place = (self.image * heads + self.head) * queries;
        for ((token, weights), slopes) in rows.zip(live).zip(live_slopes) {
            let (log, delta) = (self.of.logs[place + token], deltas[token]);
            let bias = attention.bias([self.image, self.head, token]);
            match bias {
                OfQuery::Nothing => {
                    let unit = LOG2_E * scale;
                    weights.iter_mut().for_each(|weight| *weight = exp2(*weight * unit - log));
                }
                _ => {
                    for (weight, key) in weights.iter_mut().zip(first..keys) {
                        *weight = exp2((*weight * scale + bias.at(key)) * LOG2_E - log);
                    }
                }
            }
            for (slope, weight) in slopes.iter_mut().zip(&*weights) {
                *slope = weight * (*slope - delta);
            }
            let seen = attention.seen(self.image, token);
            if seen.start > first || seen.end < first + COLUMNS {
                for (lane, (weight, slope)) in weights.iter_mut().zip(&mut *slopes).enumerate() {
                    if !seen.contains(&(first + lane)) {
                        (*weight, *slope) = (0.0, 0.0);
                    }
                }
            }
            if let (Some([to_rows, to_columns]), OfQuery::Decomposed { prefix, rows, columns }) =
                (self.bias, bias)
            {
                let (h, w) = (rows.len(), columns.len());
                // SAFETY: the numbers of this query are this task's alone, and were found to be there.
                let (to_rows, to_columns) = unsafe {
                    (to_rows.slice((place + token) * h, h), to_columns.slice((place + token) * w, w))
                };
                for (slope, key) in slopes.iter().zip(first..keys).filter(|(_, key)| *key >= prefix) {
                    to_rows[(key - prefix) / w] += slope;
                    to_columns[(key - prefix) % w] += slope;
                }
            }
            slopes.iter_mut().for_each(|slope| *slope *= scale);
        }
    }
}

/// Rows of tokens as tiles of channels along the tokens, a block of tokens at a time.
#[inline(always)]
fn turn<'r, T: Element>(
    to: &mut [u32],
    tokens: usize,
    filled: usize,
    height: usize,
    row: impl Fn(usize) -> &'r [T],
) {
    let (per_block, per_tile) = (filled * QUERIES, height * QUERIES);
    for token in 0..tokens {
        let (block, step) = (token / QUERIES, token % QUERIES);
        let block = &mut to[block * per_block..][..per_block];
        let row = row(token);
        for (j, tile) in block.chunks_exact_mut(per_tile).enumerate() {
            let numbers = row[(j * height).min(row.len())..].iter().map(|x| x.widen().to_bits());
            let cells = tile[step * height..][..height].iter_mut();
            cells.zip(numbers.chain(std::iter::repeat(0))).for_each(|(to, x)| *to = x);
        }
    }
}
