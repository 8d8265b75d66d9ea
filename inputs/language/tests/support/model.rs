//! Language models of a few lines whose next token is known by hand.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::ops::Range;
use std::sync::Mutex;

use candle_core::{DType, Device, Tensor};
use zoo_core::{Cache, Error, LanguageModel, LlmDescriptor, Result};

/// What a model says after the token `id` at `position`: one logit per token.
pub type Table = Box<dyn Fn(u32, u32) -> Vec<f32> + Send + Sync>;

/// Hidden states are `[id, position]`; the position is added by the first of two layers. A cache only counts what
/// each row has, and refuses positions that leave a gap.
pub struct TableModel {
    descriptor: LlmDescriptor,
    table: Table,
    /// Ids and positions as the first layer saw them.
    pub seen: Mutex<Vec<(u32, u32)>>,
}

impl TableModel {
    pub fn new(vocab: usize, max_positions: usize, table: Table) -> Self {
        let descriptor = LlmDescriptor {
            id: "table".into(),
            hidden: 2,
            layers: 2,
            vocab,
            max_positions,
            cache_bytes_per_position: 0,
            parameters: 0,
            quantised: Default::default(),
        };
        Self { descriptor, table, seen: Mutex::default() }
    }

    /// Says `script[position + 1]` at each position, and would rather say what is beyond the tokenizer.
    pub fn scripted(known: u32, max_positions: usize, script: Vec<u32>) -> Self {
        let table = move |_, position: u32| {
            let mut logits = vec![0.0; known as usize + 2];
            let next = script.get(position as usize + 1).copied().unwrap_or_default();
            logits[next as usize] = 5.0;
            logits[known as usize..].fill(9.0);
            logits
        };
        Self::new(known as usize + 2, max_positions, Box::new(table))
    }
}

impl LanguageModel for TableModel {
    fn descriptor(&self) -> &LlmDescriptor {
        &self.descriptor
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let ids = ids.to_dtype(DType::F32)?;
        Ok(Tensor::stack(&[&ids, &ids.zeros_like()?], 2)?)
    }

    fn cache(&self, batch: usize) -> Result<Cache> {
        Ok(Cache::new(vec![0_u32; batch]))
    }

    fn layers(&self, range: Range<usize>, hidden: &Tensor, at: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        if range.start > 0 {
            return Ok(hidden.clone());
        }
        let rows = cache.get_mut::<Vec<u32>>()?;
        assert_eq!(rows.len(), hidden.dim(0)?);
        let positions = at.to_vec2::<u32>()?;
        for ((next, positions), ids) in rows.iter_mut().zip(positions).zip(hidden.to_vec3::<f32>()?) {
            for (position, id) in positions.iter().zip(ids) {
                if position > next {
                    return Err(Error::invalid(format!("position {position}, expected {next} at most")));
                }
                *next = position + 1;
                self.seen.lock().unwrap().push((id[0] as u32, *position));
            }
        }
        let at = at.to_dtype(DType::F32)?;
        Ok((hidden + Tensor::stack(&[&at.zeros_like()?, &at], 2)?)?)
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let logits = |row: &Vec<f32>| (self.table)(row[0] as u32, row[1] as u32);
        let rows = hidden.to_vec3::<f32>()?;
        let logits: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(logits).collect()).collect();
        Ok(Tensor::new(logits, &Device::Cpu)?)
    }

    fn select_rows(&self, cache: &mut Cache, rows: &[usize]) -> Result<()> {
        let known = cache.get_mut::<Vec<u32>>()?;
        *known = rows.iter().map(|&row| known[row]).collect();
        Ok(())
    }
}
