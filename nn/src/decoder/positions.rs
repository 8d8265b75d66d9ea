//! Where the tokens of one call stand, and what each of them sees.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use zoo_core::{Error, Result};

/// Positions `[B, T]`, read to the host.
pub(super) struct Positions {
    /// One row for all sequences where they agree, else one for each.
    rows: Vec<Vec<u32>>,
    batch: usize,
    length: usize,
}

/// Tokens that follow one another in the cache as they do in the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Rows of the batch.
    pub rows: Range<usize>,
    /// First token of the call.
    pub from: usize,
    /// Its position.
    pub to: usize,
    /// How many.
    pub length: usize,
}

/// Some of the queries of a call, few enough that their scores fit into memory.
pub(super) struct Turn {
    /// First query.
    pub start: usize,
    /// How many.
    pub length: usize,
    /// `[B or 1, 1, length, keys]` f32, 0 where a query sees a key and -∞ elsewhere; `None` if it sees all.
    pub mask: Option<Tensor>,
}

impl Positions {
    /// Reads positions for hidden states of `batch` rows of `length` tokens.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for another shape, or for a position from `limit` on.
    pub fn read(positions: &Tensor, batch: usize, length: usize, limit: usize) -> Result<Self> {
        if positions.dims() != [batch, length] {
            return Err(Error::invalid(format!(
                "positions {:?} for hidden states of {batch} rows of {length} tokens",
                positions.dims()
            )));
        }
        let mut rows = positions.to_dtype(DType::U32)?.to_vec2::<u32>()?;
        if let Some(beyond) = rows.iter().flatten().find(|&&p| p as usize >= limit) {
            return Err(Error::invalid(format!(
                "position {beyond} is beyond the context of {limit} tokens; shorten the prompt or the answer"
            )));
        }
        if rows.windows(2).all(|pair| pair[0] == pair[1]) {
            rows.truncate(1);
        }
        Ok(Self { rows, batch, length })
    }

    /// Tokens per row.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The rows: one where all agree, else one for each of the batch.
    pub fn distinct(&self) -> impl Iterator<Item = &[u32]> {
        self.rows.iter().map(Vec::as_slice)
    }

    /// The keys that any query may see, with a sliding window of `window`.
    pub fn keys(&self, window: Option<usize>) -> Range<usize> {
        let all = || self.rows.iter().flatten().map(|&p| p as usize);
        let (first, last) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        (first + 1).saturating_sub(window.unwrap_or(usize::MAX))..last + 1
    }

    /// The tokens in order, cut where positions do not go up by one.
    pub fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            let rows = if self.rows.len() == 1 { 0..self.batch } else { i..i + 1 };
            for (from, &position) in row.iter().enumerate() {
                let to = position as usize;
                match runs.last_mut() {
                    Some(run) if from > 0 && run.to + run.length == to => run.length += 1,
                    _ => runs.push(Run { rows: rows.clone(), from, to, length: 1 }),
                }
            }
        }
        runs
    }

    /// All queries in turns of at most `most`.
    pub fn turns(&self, most: usize, window: Option<usize>, device: &Device) -> Result<Vec<Turn>> {
        let keys = self.keys(window);
        (0..self.length)
            .step_by(most)
            .map(|start| {
                let length = most.min(self.length - start);
                Ok(Turn { start, length, mask: self.mask(start..start + length, &keys, window, device)? })
            })
            .collect()
    }

    fn mask(
        &self,
        queries: Range<usize>,
        keys: &Range<usize>,
        window: Option<usize>,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        let seen = |position: u32| {
            let end = position as usize + 1;
            end.saturating_sub(window.unwrap_or(usize::MAX))..end
        };
        let queries: Vec<u32> =
            self.rows.iter().flat_map(|row| row.get(queries.clone()).unwrap_or_default()).copied().collect();
        if queries.iter().all(|&p| seen(p).start <= keys.start && seen(p).end == keys.end) {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(queries.len() * keys.len());
        for &position in &queries {
            let seen = seen(position);
            values.extend(keys.clone().map(|key| if seen.contains(&key) { 0.0 } else { f32::NEG_INFINITY }));
        }
        let shape = (self.rows.len(), 1, queries.len() / self.rows.len().max(1), keys.len());
        Ok(Some(Tensor::from_vec(values, shape, device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &[&[u32]]) -> Positions {
        let (batch, length) = (rows.len(), rows[0].len());
        let tensor = Tensor::from_vec(rows.concat(), (batch, length), &Device::Cpu).unwrap();
        Positions::read(&tensor, batch, length, 16).unwrap()
    }

    #[test]
    fn equal_rows_are_one_run() {
        let runs = read(&[&[3, 4, 5], &[3, 4, 5]]).runs();
        assert_eq!(runs, [Run { rows: 0..2, from: 0, to: 3, length: 3 }]);
    }

    #[test]
    fn runs_end_with_their_row_and_where_positions_jump() {
        let runs = read(&[&[0, 0, 1], &[2, 3, 4]]).runs();
        let run = |row, from, to, length| Run { rows: row..row + 1, from, to, length };
        assert_eq!(runs, [run(0, 0, 0, 1), run(0, 1, 0, 2), run(1, 0, 2, 3)]);
    }

    #[test]
    fn queries_see_their_window() {
        let positions = read(&[&[2, 3]]);
        assert_eq!((positions.keys(None), positions.keys(Some(2))), (0..4, 1..4));
        let turns = positions.turns(2, Some(2), &Device::Cpu).unwrap();
        let mask = turns[0].mask.as_ref().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let no = f32::NEG_INFINITY;
        assert_eq!(mask, [0.0, 0.0, no, no, 0.0, 0.0]);
        assert!(read(&[&[7], &[7]]).turns(1, None, &Device::Cpu).unwrap()[0].mask.is_none());
        assert!(read(&[&[7], &[6]]).turns(1, None, &Device::Cpu).unwrap()[0].mask.is_some());
    }
}
