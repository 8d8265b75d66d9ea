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
    /// Of packed rows: where in its row the sequence of each token begins.
    starts: Option<Vec<Vec<usize>>>,
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

/// Some of the queries of a call, few enough that their scores fit into memory and that most keys which they do not
/// see need not be looked at.
pub(super) struct Turn {
    /// First query.
    pub start: usize,
    /// How many.
    pub length: usize,
    /// The keys that any of them sees.
    pub keys: Range<usize>,
    /// `[B or 1, 1, length, keys]` f32, 0 where a query sees a key and -∞ elsewhere; `None` if all see all.
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
        Ok(Self { rows, batch, length, starts: None })
    }

    /// As [`Positions::read`], of rows in which a sequence begins wherever positions go back to 0.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] besides where the positions of a sequence do not go up by one from 0.
    pub fn read_packed(positions: &Tensor, batch: usize, length: usize, limit: usize) -> Result<Self> {
        let mut read = Self::read(positions, batch, length, limit)?;
        let mut all = Vec::with_capacity(read.rows.len());
        for row in &read.rows {
            let mut starts: Vec<usize> = Vec::with_capacity(row.len());
            for (index, &position) in row.iter().enumerate() {
                let start = if position == 0 { index } else { starts.last().copied().unwrap_or(index) };
                if start + position as usize != index {
                    return Err(Error::invalid(format!(
                        "token {index} of a packed row is at position {position}; positions go up by one from 0 in \
                         each sequence"
                    )));
                }
                starts.push(start);
            }
            all.push(starts);
        }
        read.starts = Some(all);
        Ok(read)
    }

    /// Whether rows hold whole sequences, one behind the other.
    pub fn packed(&self) -> bool {
        self.starts.is_some()
    }

    /// Rows, also where they agree.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The rows: one where all agree, else one for each of the batch.
    pub fn distinct(&self) -> impl Iterator<Item = &[u32]> {
        self.rows.iter().map(Vec::as_slice)
    }

    /// The position after the last one.
    pub fn end(&self) -> usize {
        self.rows.iter().flatten().max().map_or(0, |&p| p as usize + 1)
    }

    /// How many keys there are after this call: tokens are stored by position, packed ones by their place in the row.
    pub fn stored(&self) -> usize {
        if self.starts.is_some() { self.length } else { self.end() }
    }

    /// The tokens in order, cut where positions do not go up by one.
    pub fn runs(&self) -> Vec<Run> {
        if self.starts.is_some() {
            return vec![Run { rows: 0..self.batch, from: 0, to: 0, length: self.length }];
        }
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

    /// The keys that each token sees, with a sliding window of `window`; one row for all sequences where they agree.
    pub fn sight(&self, window: Option<usize>) -> Vec<Range<usize>> {
        (0..self.rows.len()).flat_map(|row| self.seen(row, 0..self.length, window)).collect()
    }

    /// The keys that each of the tokens `queries` of a row sees.
    fn seen(&self, row: usize, queries: Range<usize>, window: Option<usize>) -> Vec<Range<usize>> {
        if let Some(starts) = self.starts.as_ref().and_then(|starts| starts.get(row)) {
            let starts = starts.get(queries.clone()).unwrap_or_default();
            return queries.zip(starts).map(|(index, &start)| clipped(seen(index, window), start)).collect();
        }
        let positions = self.rows.get(row).and_then(|row| row.get(queries)).unwrap_or_default();
        positions.iter().map(|&position| seen(position as usize, window)).collect()
    }

    /// All queries in turns of at most `most`, with a sliding window of `window`.
    pub fn turns(&self, most: usize, window: Option<usize>, device: &Device) -> Result<Vec<Turn>> {
        (0..self.length)
            .step_by(most)
            .map(|start| {
                let length = most.min(self.length - start);
                let (keys, mask) = self.mask(start..start + length, window, device)?;
                Ok(Turn { start, length, keys, mask })
            })
            .collect()
    }

    /// The keys that any of `queries` sees, and the mask of those that each of them does not.
    fn mask(
        &self,
        queries: Range<usize>,
        window: Option<usize>,
        device: &Device,
    ) -> Result<(Range<usize>, Option<Tensor>)> {
        let seen: Vec<Range<usize>> =
            (0..self.rows.len()).flat_map(|row| self.seen(row, queries.clone(), window)).collect();
        let first = seen.iter().map(|s| s.start).min().unwrap_or(0);
        let keys = first..seen.iter().map(|s| s.end).max().unwrap_or(first);
        if seen.iter().all(|seen| *seen == keys) {
            return Ok((keys, None));
        }
        let mut values = Vec::with_capacity(seen.len() * keys.len());
        for seen in &seen {
            values.extend(keys.clone().map(|key| if seen.contains(&key) { 0.0 } else { f32::NEG_INFINITY }));
        }
        let mask = Tensor::from_vec(values, (self.rows.len(), 1, queries.len(), keys.len()), device)?;
        Ok((keys, Some(mask)))
    }
}

/// The keys that a token at `position` sees.
fn seen(position: usize, window: Option<usize>) -> Range<usize> {
    let end = position + 1;
    end.saturating_sub(window.unwrap_or(usize::MAX))..end
}

/// Without what lies before `start`.
fn clipped(seen: Range<usize>, start: usize) -> Range<usize> {
    seen.start.max(start)..seen.end
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
        let turns = read(&[&[2, 3]]).turns(2, Some(2), &Device::Cpu).unwrap();
        assert_eq!((turns.len(), turns[0].keys.clone()), (1, 1..4));
        let mask = turns[0].mask.as_ref().unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let no = f32::NEG_INFINITY;
        assert_eq!(mask, [0.0, 0.0, no, no, 0.0, 0.0]);
        let masked = |p: &Positions| p.turns(1, None, &Device::Cpu).unwrap()[0].mask.is_some();
        assert!(!masked(&read(&[&[7], &[7]])) && masked(&read(&[&[7], &[6]])));
    }

    #[test]
    fn packed_sequences_do_not_see_one_another() {
        let rows = |rows: &[&[u32]]| {
            let tensor = Tensor::from_vec(rows.concat(), (rows.len(), rows[0].len()), &Device::Cpu).unwrap();
            Positions::read_packed(&tensor, rows.len(), rows[0].len(), 16)
        };
        let packed = rows(&[&[0, 1, 0, 1, 2]]).unwrap();
        assert_eq!(packed.sight(None), [0..1, 0..2, 2..3, 2..4, 2..5]);
        assert_eq!(packed.sight(Some(2)), [0..1, 0..2, 2..3, 2..4, 3..5]);
        assert_eq!((packed.end(), packed.stored()), (3, 5));
        assert_eq!(packed.runs(), [Run { rows: 0..1, from: 0, to: 0, length: 5 }]);
        let message = rows(&[&[0, 2]]).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("token 1 of a packed row is at position 2"), "{message}");
    }

    #[test]
    fn later_turns_see_more_keys() {
        let turns = read(&[&[4, 5, 6]]).turns(2, None, &Device::Cpu).unwrap();
        let keys: Vec<_> = turns.iter().map(|t| (t.start, t.length, t.keys.clone())).collect();
        assert_eq!(keys, [(0, 2, 0..6), (2, 1, 0..7)]);
    }
}
