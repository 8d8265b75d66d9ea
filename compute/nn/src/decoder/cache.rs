//! Keys and values of the tokens so far, by position.

use candle_core::Tensor;
use zoo_core::{Error, Result};

use super::positions::Run;
use super::rope::Rope;
use crate::dispatch;

/// Room grows in steps of this many positions at least, and by half.
const BLOCK: usize = 256;

/// The cache of one request.
pub(super) struct DecoderCache {
    /// Which model it belongs to.
    pub model: u64,
    /// Rows.
    pub batch: usize,
    /// Whether a row holds several sequences, one behind the other, and its tokens are stored in the order of the row.
    pub packed: bool,
    /// One per layer.
    pub layers: Vec<LayerCache>,
}

/// Keys and values of one layer.
pub(super) struct LayerCache {
    keys: Option<Tensor>,
    values: Option<Tensor>,
    /// Per row, how many positions from 0 on hold a token.
    filled: Vec<usize>,
    /// Whether keys are turned for a long sequence.
    long: bool,
}

impl LayerCache {
    pub fn new(batch: usize) -> Self {
        Self { keys: None, values: None, filled: vec![0; batch], long: false }
    }

    /// Whether keys are turned for a long sequence.
    pub fn long(&self) -> bool {
        self.long
    }

    /// Turns the keys over to the frequencies of a long sequence.
    pub fn lengthen(&mut self, rope: &Rope) -> Result<()> {
        if self.long {
            return Ok(());
        }
        let filled = self.filled.iter().copied().max().unwrap_or(0);
        if let (Some(keys), 1..) = (&self.keys, filled)
            && let Some(turns) = rope.lengthening(filled, keys.device())?
        {
            let turned = turns.apply(&keys.narrow(2, 0, filled)?.transpose(1, 2)?)?.transpose(1, 2)?;
            let rest = keys.narrow(2, filled, keys.dim(2)? - filled)?;
            self.keys = Some(Tensor::cat(&[turned, rest.contiguous()?], 2)?.contiguous()?);
        }
        self.long = true;
        Ok(())
    }

    /// Stores keys and values `[B, heads, T, D]` where `runs` says; room for at most `limit` positions.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when positions before those of a run hold no token.
    pub fn write(&mut self, keys: &Tensor, values: &Tensor, runs: &[Run], limit: usize) -> Result<()> {
        let mut filled = self.filled.clone();
        for run in runs {
            for (row, filled) in filled.iter_mut().enumerate().take(run.rows.end).skip(run.rows.start) {
                if run.to > *filled {
                    return Err(Error::invalid(format!(
                        "row {row} goes on at position {} while position {filled} is empty; positions may not \
                         leave gaps",
                        run.to
                    )));
                }
                *filled = (*filled).max(run.to + run.length);
            }
        }
        self.keys = Some(stored(self.keys.clone(), keys, runs, limit)?);
        self.values = Some(stored(self.values.clone(), values, runs, limit)?);
        self.filled = filled;
        Ok(())
    }

    /// Keeps, repeats and reorders rows: the i-th is a copy of the present `rows[i]`.
    pub fn select(&mut self, rows: &[usize]) -> Result<()> {
        let indices = rows.iter().map(|&row| row as u32).collect::<Vec<_>>();
        for store in [&mut self.keys, &mut self.values].into_iter().flatten() {
            let indices = Tensor::new(indices.as_slice(), store.device())?;
            *store = store.contiguous()?.index_select(&indices, 0)?;
        }
        self.filled = rows.iter().map(|&row| self.filled[row]).collect();
        Ok(())
    }

    /// Keys and values `[B, heads, room, D]`, with room for positions that hold no token yet.
    pub fn stored(&self) -> Result<(&Tensor, &Tensor)> {
        match (&self.keys, &self.values) {
            (Some(keys), Some(values)) => Ok((keys, values)),
            _ => Err(Error::Internal("an empty KV cache was read".into())),
        }
    }

    /// Keys and values `[B, heads, end, D]` of the positions before `end`, as views.
    pub fn read(&self, end: usize) -> Result<(Tensor, Tensor)> {
        let (keys, values) = self.stored()?;
        Ok((keys.narrow(2, 0, end)?, values.narrow(2, 0, end)?))
    }
}

/// `store` with `new` `[B, heads, T, D]` in it: in place, unless gradients flow through either.
fn stored(store: Option<Tensor>, new: &Tensor, runs: &[Run], limit: usize) -> Result<Tensor> {
    let (batch, heads, length, channels) = new.dims4()?;
    let needed = runs.iter().map(|run| run.to + run.length).max().unwrap_or(0);
    let capacity = store.as_ref().map_or(0, |s| s.dims()[2]);
    let tracked = dispatch::tracked([new].into_iter().chain(&store));
    if tracked && runs == [Run { rows: 0..batch, from: 0, to: 0, length }] && length >= capacity {
        return Ok(new.clone());
    }
    let mut store = match store {
        Some(store) if needed <= capacity => store,
        store => {
            let wanted = if tracked {
                needed
            } else {
                needed.max(capacity + capacity / 2).next_multiple_of(BLOCK).min(limit).max(needed)
            };
            let room = Tensor::zeros((batch, heads, wanted - capacity, channels), new.dtype(), new.device())?;
            match store {
                Some(store) => Tensor::cat(&[&store.contiguous()?, &room], 2)?.contiguous()?,
                None => room,
            }
        }
    };
    for run in runs {
        let rows = run.rows.clone();
        let part = new.narrow(0, rows.start, rows.len())?.narrow(2, run.from, run.length)?.contiguous()?;
        if tracked {
            store = store.slice_assign(&[rows, 0..heads, run.to..run.to + run.length, 0..channels], &part)?;
        } else {
            store.narrow(0, rows.start, rows.len())?.slice_set(&part, 2, run.to)?;
        }
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn room_grows_in_blocks_up_to_the_limit() {
        let run = |to, length| [Run { rows: 0..1, from: 0, to, length }];
        let tokens = |n| Tensor::ones((1, 1, n, 2), DType::F32, &Device::Cpu).unwrap();
        let mut cache = LayerCache::new(1);
        let mut capacities = Vec::new();
        for (to, length) in [(0, 1), (1, 255), (256, 1), (257, 300), (557, 243)] {
            cache.write(&tokens(length), &tokens(length), &run(to, length), 800).unwrap();
            capacities.push(cache.keys.as_ref().unwrap().dims()[2]);
        }
        assert_eq!(capacities, [256, 256, 512, 768, 800]);
        let (keys, _) = cache.read(800).unwrap();
        assert_eq!(keys.sum_all().unwrap().to_scalar::<f32>().unwrap(), 1600.0);
        let message = LayerCache::new(1).write(&tokens(1), &tokens(1), &run(3, 1), 800).unwrap_err();
        assert!(message.to_string().contains("may not leave gaps"), "{message}");
    }
}
