//! What one task computes: some queries on all keys of their head.

use std::cell::Cell;
use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::bias::{Bias, OfQuery};
use super::pack::{BLOCK, Head, fetch};
use super::results::{self, Results};
use super::softmax::Running;
use super::{Attention, AttentionSize};
use crate::element::Element;
use crate::out::Out;
use crate::panels::{self, Line};
use crate::tile::{Job, Tile};

/// The queries of one image that share a head of keys: rows are tokens of the first of their heads, then of the
/// next.
pub(super) struct Task<'a, T> {
    pub attention: &'a Attention<'a, T>,
    pub image: usize,
    /// Of the keys.
    pub head: usize,
    pub rows: Range<usize>,
    pub out: Out<T>,
}

/// Memory of a thread, kept for its next task.
#[derive(Default)]
struct Scratch {
    keys: Vec<Line>,
    values: Vec<Line>,
    queries: Vec<Line>,
    scores: Vec<Line>,
    pairs: Vec<Line>,
    mixed: Vec<Line>,
    results: Vec<Line>,
    biases: Vec<Line>,
}

impl<T: Element> Job for Task<'_, T> {
    /// # Safety
    /// That of [`Job::run`]; `out` is `[batch, queries, heads, channels]`, and nobody else uses the places of this
    /// task.
    #[inline(always)]
    unsafe fn run<K: Tile<COLUMNS>, const COLUMNS: usize>(&self) {
        // Taken, not borrowed: what a thread waits for may be another task.
        thread_local!(static SCRATCH: Cell<Scratch> = Cell::default());
        let mut scratch = SCRATCH.take();
        // SAFETY: the caller's.
        unsafe { self.compute::<K, COLUMNS>(&mut scratch) };
        SCRATCH.set(scratch);
    }
}

impl<T: Element> Task<'_, T> {
    /// # Safety
    /// As for `run`.
    #[inline(always)]
    unsafe fn compute<K: Tile<COLUMNS>, const COLUMNS: usize>(&self, scratch: &mut Scratch) {
        let AttentionSize { heads, key_heads, queries, keys, channels, .. } = self.attention.size;
        let first_head = self.head * (heads / key_heads);
        let place = |row: usize| (first_head + row / queries, row % queries);
        let whole = self.sight(self.rows.clone());
        let begin = whole.start / BLOCK * BLOCK;
        let blocks = (whole.end - begin).div_ceil(BLOCK);
        let (steps, tiles) = (panels::steps(channels, K::PAIRS), BLOCK / K::ROWS);
        let key_tile = steps * K::ROWS;
        let block_steps = panels::steps(BLOCK, K::PAIRS);
        // Of the two heights, the one that needs less filling up.
        let short = channels.next_multiple_of(K::SHORT) < channels.next_multiple_of(K::ROWS);
        let height = if short { K::SHORT } else { K::ROWS };
        let (channel_tiles, value_tile) = (channels.div_ceil(height), block_steps * height);

        let query = |row| {
            let (head, query) = place(row);
            self.attention.q.row(self.image, query, head, channels)
        };
        let out = |row| {
            let (head, query) = place(row);
            let start = ((self.image * queries + query) * heads + head) * channels;
            // SAFETY: inside `out`, and this task's alone; one place at a time is held.
            unsafe { self.out.slice(start, channels) }
        };
        self.rows.clone().take(COLUMNS).for_each(|row| fetch(query(row)));

        let head = |heads| Head { heads, image: self.image, head: self.head, tokens: whole.end, channels };
        let key_cells = blocks * tiles * key_tile;
        let k = &mut panels::cells_mut(panels::room(&mut scratch.keys, key_cells))[..key_cells];
        // SAFETY: the caller's.
        unsafe { head(self.attention.k).keys::<K, COLUMNS>(k, begin, steps) };
        let value_cells = blocks * channel_tiles * value_tile;
        let v = &mut panels::cells_mut(panels::room(&mut scratch.values, value_cells))[..value_cells];
        let mixed_rows = channel_tiles * height;
        let pair_steps = block_steps.max(panels::steps(mixed_rows, K::PAIRS));
        let pairs = panels::cells_mut(panels::room(&mut scratch.pairs, pair_steps * COLUMNS));
        head(self.attention.v).values(v, begin, height, K::PAIRS, pairs);
        let (k, v, (pairs, _)) = (&*k, &*v, pairs.as_chunks_mut());

        let q =
            &mut panels::cells_mut(panels::room(&mut scratch.queries, steps * COLUMNS))[..steps * COLUMNS];
        let (scores, _) =
            panels::floats_mut(panels::room(&mut scratch.scores, BLOCK * COLUMNS)).as_chunks_mut();
        let turned = panels::room(&mut scratch.results, results::cells(channels, K::PAIRS, COLUMNS));
        let (mixed, _) = panels::floats_mut(panels::room(&mut scratch.mixed, mixed_rows * COLUMNS))
            .as_chunks_mut::<COLUMNS>();
        let bias = self.attention.bias;
        let unit = if bias.is_some() { LOG2_E } else { LOG2_E * self.attention.scale };
        let numbers = if let Some(Bias::Decomposed(bias)) = &bias { bias.numbers() } else { 0 };
        let (table, _) = panels::floats_mut(panels::room(&mut scratch.biases, numbers * COLUMNS))
            .as_chunks_mut::<COLUMNS>();

        for start in self.rows.clone().step_by(COLUMNS) {
            let rows = start..self.rows.end.min(start + COLUMNS);
            let lane = |lane| query(start + lane);
            // SAFETY: the caller's.
            unsafe { panels::weave_rows::<K, T, COLUMNS>(q, COLUMNS, channels, rows.len(), lane) };
            // Both are needed when all keys were seen.
            rows.clone().for_each(|row| fetch(out(row)));
            (rows.end..self.rows.end.min(rows.end + COLUMNS)).for_each(|row| fetch(query(row)));
            let biases = |(lane, (head, query))| (lane, self.attention.bias([self.image, head, query]));
            for (lane, bias) in rows.clone().map(place).enumerate().map(biases) {
                if let OfQuery::Decomposed { rows, columns, .. } = bias {
                    table.iter_mut().zip(rows.iter().chain(columns)).for_each(|(to, x)| to[lane] = *x);
                }
            }
            mixed.fill([0.0; COLUMNS]);
            let mut running = Running::<COLUMNS>::new();
            let seen = self.sight(rows.clone());
            for block in seen.start / BLOCK..seen.end.div_ceil(BLOCK) {
                let from = block * BLOCK;
                let present = BLOCK.min(keys - from).min(seen.end - from);
                let used = present.div_ceil(K::ROWS);
                let scores: &mut [[f32; COLUMNS]] = &mut scores[..used * K::ROWS];
                let index = block - begin / BLOCK;
                for (tile, sums) in scores.chunks_exact_mut(K::ROWS).enumerate() {
                    let k = &k[(index * tiles + tile) * key_tile..][..key_tile];
                    // SAFETY: the slices hold that much; the queries begin on a cache line.
                    unsafe { K::sums(steps, k.as_ptr(), q.as_ptr(), sums.as_mut_ptr()) };
                }
                match &bias {
                    None => {}
                    Some(Bias::Decomposed(bias)) => {
                        bias.add(&table[..numbers], from, self.attention.scale, &mut scores[..present]);
                    }
                    Some(Bias::Dense(_)) => {
                        for (lane, bias) in rows.clone().map(place).enumerate().map(biases) {
                            for (row, key) in scores.iter_mut().zip(from..from + present) {
                                row[lane] = row[lane] * self.attention.scale + bias.at(key);
                            }
                        }
                    }
                }
                if self.attention.sight.is_some() {
                    for (lane, row) in rows.clone().enumerate() {
                        let seen = self.attention.seen(self.image, place(row).1);
                        if seen.start > from || seen.end < from + present {
                            for (key, row) in scores.iter_mut().enumerate() {
                                if !seen.contains(&(from + key)) {
                                    row[lane] = f32::NEG_INFINITY;
                                }
                            }
                        }
                    }
                }
                let steps = panels::steps(present, K::PAIRS);
                let scores = &mut scores[..if K::PAIRS { 2 * steps } else { steps }];
                scores[present..].fill([f32::NEG_INFINITY; COLUMNS]);
                // SAFETY: the caller's.
                unsafe { running.weigh::<K>(scores, unit, pairs) };
                let weights = if K::PAIRS { pairs.as_ptr().cast() } else { scores.as_ptr().cast() };
                for (tile, mixed) in mixed.chunks_exact_mut(height).enumerate() {
                    let v = &v[(index * channel_tiles + tile) * value_tile..][..value_tile];
                    // SAFETY: as above, and for the weights.
                    unsafe {
                        K::add(height, steps, v.as_ptr(), weights, &running.correction, mixed.as_mut_ptr())
                    };
                }
            }
            let results = Results { channels, height, sums: mixed, pairs, rows: turned };
            // SAFETY: the caller's; only for bf16 are there tiles that read pairs.
            unsafe { results.write::<K, T>(&running.share(), rows.map(out)) };
        }
    }

    /// The keys between the first and the last that any of `rows` sees.
    #[inline(always)]
    fn sight(&self, rows: Range<usize>) -> Range<usize> {
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
