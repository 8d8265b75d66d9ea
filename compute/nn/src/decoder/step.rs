//! What all layers of a call share.

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{DType, Device};
use zoo_core::Result;

use super::config::DecoderConfig;
use super::positions::{Positions, Run, Turn};
use super::rope::{Rope, Turns};
use crate::attention::SCORE_BYTES;

/// Most queries of a turn: few enough to leave out most of the keys that lie after them.
const QUERIES: usize = 256;

/// What follows from the positions of a call, the same for every layer.
pub(super) struct Step {
    pub turns: Turns,
    pub runs: Vec<Run>,
    /// Keys that are in use after this call.
    pub end: usize,
    /// Most positions that a cache may hold.
    pub limit: usize,
    positions: Positions,
    window: Option<usize>,
    /// The keys that each query sees, without and with the sliding window.
    sight: [OnceLock<Vec<Range<usize>>>; 2],
    /// The same in turns for products by candle, of so many queries at most.
    queries: [OnceLock<Vec<Turn>>; 2],
    most: usize,
}

impl Step {
    pub fn new(
        positions: Positions,
        config: &DecoderConfig,
        rope: &Rope,
        long: bool,
        device: &Device,
    ) -> Result<Self> {
        let row =
            positions.batch() * config.num_attention_heads * positions.stored() * DType::F32.size_in_bytes();
        Ok(Self {
            turns: rope.turns(&positions, long, device)?,
            runs: positions.runs(),
            end: positions.stored(),
            limit: config.max_position_embeddings.max(positions.stored()),
            positions,
            window: config.sliding_window,
            sight: Default::default(),
            queries: Default::default(),
            most: (SCORE_BYTES / row.max(1)).clamp(1, QUERIES),
        })
    }

    /// For attention alone: positions that turn nothing, in turns of at most `most` queries.
    #[cfg(test)]
    pub fn of_positions(positions: Positions, window: Option<usize>, most: usize) -> Self {
        Self {
            turns: Turns::none(),
            runs: positions.runs(),
            end: positions.stored(),
            limit: positions.stored(),
            positions,
            window,
            sight: Default::default(),
            queries: Default::default(),
            most,
        }
    }

    /// Whether the keys of the call are all that there are, one behind the other: rows of whole sequences.
    pub fn whole(&self) -> bool {
        self.positions.packed()
    }

    fn window(&self, windowed: bool) -> Option<usize> {
        self.window.filter(|_| windowed)
    }

    /// The keys that each query sees: `[T]`, or `[B, T]` where rows differ.
    pub fn sight(&self, windowed: bool) -> &[Range<usize>] {
        self.sight[usize::from(windowed)].get_or_init(|| self.positions.sight(self.window(windowed)))
    }

    /// The queries in turns, on `device`.
    pub fn queries(&self, windowed: bool, device: &Device) -> Result<&[Turn]> {
        let cell = &self.queries[usize::from(windowed)];
        if cell.get().is_none() {
            let turns = self.positions.turns(self.most, self.window(windowed), device)?;
            return Ok(cell.get_or_init(|| turns));
        }
        Ok(cell.get().map(Vec::as_slice).unwrap_or_default())
    }
}
