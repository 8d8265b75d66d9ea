//! A block of queries, one on each lane, on all keys that any of them sees.

use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::AttentionSize;
use super::bias::{Bias, OfQuery};
use super::pack::BLOCK;
use super::queries::Queries;
use super::results::{self, Turned};
use super::softmax::Running;
use crate::element::Element;
use crate::panels::{self, Line};
use crate::prefetch;
use crate::tile::{Flat, Tile};

/// Keys and values as tiles read them.
pub(super) struct PackedHead<'a> {
    pub keys: &'a [u32],
    pub values: &'a [u32],
    /// Which block of keys is the first of these.
    pub first: usize,
    /// Channels of a tile of values.
    pub height: usize,
}

/// Memory for one block at a time.
#[derive(Default)]
pub(super) struct Room {
    queries: Vec<Line>,
    scores: Vec<Line>,
    pairs: Vec<Line>,
    mixed: Vec<Line>,
    results: Vec<Line>,
    biases: Vec<Line>,
}

impl Room {
    /// Some that no block has yet.
    pub fn cells(&mut self, count: usize) -> &mut [u32] {
        &mut panels::cells_mut(panels::room(&mut self.pairs, count))[..count]
    }
}

impl<T: Element> Queries<'_, T> {
    /// # Safety
    /// That of [`Job::run`](crate::tile::Job::run) for these queries; `rows` are some of them, at most `COLUMNS`, and
    /// what they see was packed for tiles with the rows of `K`.
    #[inline(always)]
    pub unsafe fn block<K: Tile<COLUMNS>, const COLUMNS: usize>(
        &self,
        rows: Range<usize>,
        packed: &PackedHead<'_>,
        room: &mut Room,
    ) {
        let size = self.attention.size;
        let (keys, channels, height) = (size.keys, size.channels, packed.height);
        let (steps, tiles) = (panels::steps(channels, K::PAIRS), BLOCK / K::ROWS);
        let key_tile = steps * K::ROWS;
        let block_steps = panels::steps(BLOCK, K::PAIRS);
        let (channel_tiles, value_tile) = (channels.div_ceil(height), block_steps * height);
        let mixed_rows = channel_tiles * height;
        let pair_steps = block_steps.max(panels::steps(mixed_rows, K::PAIRS));

        let q = &mut panels::cells_mut(panels::room(&mut room.queries, steps * COLUMNS))[..steps * COLUMNS];
        let (scores, _) = panels::floats_mut(panels::room(&mut room.scores, BLOCK * COLUMNS)).as_chunks_mut();
        let (pairs, _) =
            panels::cells_mut(panels::room(&mut room.pairs, pair_steps * COLUMNS)).as_chunks_mut();
        let turned = panels::room(&mut room.results, results::cells(channels, K::PAIRS, COLUMNS));
        let (mixed, _) = panels::floats_mut(panels::room(&mut room.mixed, mixed_rows * COLUMNS))
            .as_chunks_mut::<COLUMNS>();
        let bias = self.attention.bias;
        let unit = if bias.is_some() { LOG2_E } else { LOG2_E * self.attention.scale };
        let numbers = if let Some(Bias::Decomposed(bias)) = &bias { bias.numbers() } else { 0 };
        let (table, _) =
            panels::floats_mut(panels::room(&mut room.biases, numbers * COLUMNS)).as_chunks_mut::<COLUMNS>();

        let lane = |lane| self.query(rows.start + lane);
        // SAFETY: the caller's.
        unsafe { panels::weave_rows::<K, T, COLUMNS>(q, COLUMNS, channels, rows.len(), lane) };
        // Both are needed when all keys were seen.
        rows.clone().for_each(|row| self.out.prefetch(self.start(row), channels));
        (rows.end..self.rows.end.min(rows.end + COLUMNS)).for_each(|row| prefetch::read(self.query(row)));
        let place = |row| self.place(row);
        let biases = |(lane, (head, query))| (lane, self.attention.bias([self.image, head, query]));
        if numbers > 0 {
            for (lane, bias) in rows.clone().map(place).enumerate().map(biases) {
                if let OfQuery::Decomposed { rows, columns, .. } = bias {
                    table.iter_mut().zip(rows.iter().chain(columns)).for_each(|(to, x)| to[lane] = *x);
                }
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
            let index = block - packed.first;
            for (tile, sums) in scores.chunks_exact_mut(K::ROWS).enumerate() {
                let k = &packed.keys[(index * tiles + tile) * key_tile..][..key_tile];
                // SAFETY: the slices hold that much; the queries begin on a cache line.
                unsafe { K::sums::<Flat>(steps, k.as_ptr(), q.as_ptr(), sums.as_mut_ptr()) };
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
                let v = &packed.values[(index * channel_tiles + tile) * value_tile..][..value_tile];
                // SAFETY: as above, and for the weights.
                unsafe {
                    K::add(height, steps, v.as_ptr(), weights, &running.correction, mixed.as_mut_ptr())
                };
            }
        }
        if let Some(logs) = self.logs {
            let AttentionSize { heads, queries, .. } = size;
            for (lane, (head, query)) in rows.clone().map(place).enumerate() {
                let at = (self.image * heads + head) * queries + query;
                // SAFETY: there is a place for each query, which is this task's alone.
                unsafe { logs.set(at, [running.log(lane, unit)]) };
            }
        }
        let results = Turned { channels, height, sums: mixed, pairs, rows: turned };
        let starts = rows.map(|row| self.start(row));
        // SAFETY: the caller's; only for bf16 are there tiles that read pairs.
        unsafe { results.write::<K, T>(&running.share(), self.out, starts) };
    }
}
