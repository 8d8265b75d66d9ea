//! Linear maps whose weights are held in quantised blocks.
//!
//! Blocks that a file holds stay as they are; other weights are quantised while they are read, where that was asked
//! for ([`zoo_core::sdk::OpenOptions::quantise`]).

use candle_core::{DType, Tensor};
use zoo_core::weights::{Init, Params};
use zoo_core::{Error, Quantisation, Result};
use zoo_kernels::quant::Quantised;

use crate::linear::Linear;

/// In which order a file holds the rows of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    /// In the order in which they are computed with.
    Same,
    /// In heads of so many rows, with the two halves of a head interleaved: what the rotary positions of llama.cpp
    /// turn, neighbours, in place of what they turn here, channels half a head apart.
    Interleaved {
        /// Rows of a head.
        channels: usize,
    },
}

impl RowOrder {
    /// Where row `row` stands in the file.
    pub fn stored(self, row: usize) -> usize {
        match self {
            Self::Same => row,
            Self::Interleaved { channels } => {
                let (head, i) = (row / channels, row % channels);
                let half = channels / 2;
                head * channels + 2 * (i % half) + i / half
            }
        }
    }

    /// The row that stands at `stored` in the file: the inverse of [`RowOrder::stored`].
    pub fn computed(self, stored: usize) -> usize {
        match self {
            Self::Same => stored,
            Self::Interleaved { channels } => {
                let (head, i) = (stored / channels, stored % channels);
                head * channels + i % 2 * (channels / 2) + i / 2
            }
        }
    }

    /// The rows of `t` in the order in which they are computed with.
    fn restore(self, t: Tensor) -> Result<Tensor> {
        if self == Self::Same {
            return Ok(t);
        }
        let rows: Vec<u32> = (0..t.dim(0)?).map(|row| self.stored(row) as u32).collect();
        Ok(t.index_select(&Tensor::new(rows, t.device())?, 0)?)
    }
}

/// As [`Linear::load`], quantised where the file or the options say so: in the format that was asked for, in
/// [`Quantisation::Q8_0`] where only that fits the number of inputs, not at all where neither does.
///
/// # Errors
/// Those of [`Params::get`]; [`Error::InvalidInput`] where quantised weights are asked for on another device than the
/// CPU, or for training.
pub fn load(params: &Params, inputs: usize, outputs: usize, bias: bool, order: RowOrder) -> Result<Linear> {
    let map = load_map(params, inputs, outputs, bias, order)?;
    Ok(map.with_difference(params.difference("weight", (outputs, inputs))?))
}

fn load_map(params: &Params, inputs: usize, outputs: usize, bias: bool, order: RowOrder) -> Result<Linear> {
    let init = Init::fan_in(inputs);
    let bias = if bias { Some(order.restore(params.get("bias", outputs, init)?)?) } else { None };
    if let Some(weights) = stored(params, inputs, outputs, order) {
        return Ok(Linear::quantised(weights, bias));
    }
    let size = (outputs, inputs);
    let Some(format) = wanted(params, inputs)? else {
        return Ok(match (order, params.rows("weight", size, init)) {
            (RowOrder::Same, Some(rows)) => Linear::packed(&rows, params.dtype(), size, bias),
            _ => Linear::new(order.restore(params.get("weight", size, init)?)?, bias),
        });
    };
    let weights = match params.rows("weight", size, init) {
        Some(rows) => Quantised::encode(format.format(), outputs, inputs, |first, out| {
            if order == RowOrder::Same {
                return rows.read(first, out);
            }
            for (row, out) in (first..).zip(out.chunks_exact_mut(inputs)) {
                rows.read(order.stored(row), out);
            }
        }),
        None => encode(&order.restore(params.get("weight", size, init)?)?, format)?,
    };
    params.note_quantised(format, outputs * inputs);
    Ok(Linear::quantised(weights, bias))
}

/// Whether a map at `params` would be quantised.
///
/// # Errors
/// As [`load`].
pub fn applies(params: &Params, inputs: usize, outputs: usize) -> Result<bool> {
    Ok(params.blocks("weight", (outputs, inputs)).is_some() || wanted(params, inputs)?.is_some())
}

/// The map whose weights are an embedding table that was read before from `params`, without a bias.
///
/// # Errors
/// As [`load`].
pub fn load_tied(params: &Params, table: &Tensor) -> Result<Linear> {
    let (outputs, inputs) = table.dims2()?;
    if let Some(blocks) = params.blocks("weight", (outputs, inputs)) {
        let row = |row| blocks.row(row);
        let weights = Quantised::from_blocks(blocks.format().format(), outputs, inputs, row);
        return Ok(Linear::quantised(weights, None));
    }
    Ok(match wanted(params, inputs)? {
        Some(format) => Linear::quantised(encode(table, format)?, None),
        None => Linear::new(table.clone(), None),
    })
}

/// The blocks of the file.
fn stored(params: &Params, inputs: usize, outputs: usize, order: RowOrder) -> Option<Quantised> {
    let blocks = params.blocks("weight", (outputs, inputs))?;
    let row = |row| blocks.row(order.stored(row));
    let weights = Quantised::from_blocks(blocks.format().format(), outputs, inputs, row);
    params.note_quantised(blocks.format(), outputs * inputs);
    params.count(outputs * inputs);
    Some(weights)
}

/// The format for a matrix of so many inputs.
fn wanted(params: &Params, inputs: usize) -> Result<Option<Quantisation>> {
    let Some(format) = params.quantise().filter(|_| !params.is_recording()) else { return Ok(None) };
    if !params.device().is_cpu() {
        return Err(Error::invalid(format!(
            "{format} weights are multiplied on the CPU only; choose --device cpu"
        )));
    }
    if params.trains("weight") {
        return Err(Error::invalid(format!(
            "{format} weights cannot be trained; leave out the quantisation"
        )));
    }
    Ok(format.fitting(inputs))
}

fn encode(weight: &Tensor, format: Quantisation) -> Result<Quantised> {
    let (outputs, inputs) = weight.dims2()?;
    let read = |first: usize, out: &mut [f32]| -> Result<()> {
        let rows = weight.narrow(0, first, out.len() / inputs)?.to_dtype(DType::F32)?;
        out.copy_from_slice(&rows.flatten_all()?.to_vec1()?);
        Ok(())
    };
    let failed = std::sync::Mutex::new(None);
    let weights = Quantised::encode(format.format(), outputs, inputs, |first, out| {
        if let Err(e) = read(first, out) {
            *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(e);
        }
    });
    match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(e) => Err(e),
        None => Ok(weights),
    }
}
