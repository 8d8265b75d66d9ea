//! Reading one tensor after the other: from files, from a seed, or on paper.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var, WithDType};
use half::bf16;
use zoo_kernels::Element;

use super::layout::beside;
use super::random::Seeded;
use super::store::Store;
use super::{Init, Layout, LowRank, Piece, Rows, TensorInfo, TensorSource, Training, WeightsReport};
use crate::{Quantisation, Result};

/// What was read so far, and what went wrong.
pub(super) struct State {
    pub store: Store,
    pub layout: Layout,
    pub prefix: Arc<str>,
    pub device: Device,
    pub dtype: DType,
    pub training: Training,
    pub low_rank: Option<Rc<LowRank>>,
    pub quantise: Option<Quantisation>,
    pub vectors: bool,
    pub quantised: BTreeMap<Quantisation, u64>,
    pub report: WeightsReport,
    pub used: BTreeSet<String>,
    pub vars: BTreeMap<String, Var>,
    pub count: u64,
}

/// A whole tensor.
pub(super) fn read<T: Element + WithDType>(rows: &Rows, shape: &[usize]) -> Result<Tensor> {
    let mut values = vec![<T as Element>::round(0.0); rows.count()];
    rows.read_parallel(&mut values);
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

impl State {
    /// How many of so many numbers a checkpoint holds: what a layout leaves out is no parameter.
    pub fn stored_share(&self, canonical: &str, numbers: usize) -> u64 {
        let stored = match (self.layout.map)(canonical) {
            TensorSource::Concat(pieces) => {
                let stored = pieces.iter().filter(|piece| matches!(piece, Piece::Key(_))).count();
                numbers / pieces.len().max(1) * stored
            }
            _ => numbers,
        };
        stored as u64
    }

    pub fn get(&mut self, canonical: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        self.count += self.stored_share(canonical, shape.iter().product());
        if let Some(rows) = self.rows(canonical, shape, init) {
            return match self.dtype {
                DType::BF16 => read::<bf16>(&rows, shape),
                _ => read::<f32>(&rows, shape),
            };
        }
        match (self.layout.map)(canonical) {
            TensorSource::Key(key) => self.stored(&key, shape, init),
            TensorSource::Beside(key) => self.stored_at(beside(&self.prefix, &key), shape, init),
            TensorSource::Squeezed(key) => {
                let leading = shape.iter().take_while(|&&d| d == 1).count();
                Ok(self.stored(&key, &shape[leading..], init)?.reshape(shape)?)
            }
            TensorSource::Transposed(key) => {
                let turned: Vec<usize> = shape.iter().rev().copied().collect();
                Ok(self.stored(&key, &turned, init)?.t()?.contiguous()?)
            }
            TensorSource::Part { key, parts, of } => {
                let mut whole = shape.to_vec();
                let part = shape.first().map_or(0, |rows| rows / parts.len().max(1));
                if let Some(first) = whole.first_mut() {
                    *first = part * of;
                }
                let whole = self.stored(&key, &whole, init)?;
                Ok(whole.narrow(0, part * parts.start, part * parts.len())?.contiguous()?)
            }
            TensorSource::Concat(pieces) => {
                let mut part = shape.to_vec();
                if let Some(first) = part.first_mut() {
                    *first /= pieces.len().max(1);
                }
                let parts = pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Key(key) => self.stored(key, &part, init),
                        Piece::Zeros => self.placeholder(&part),
                    })
                    .collect::<Result<Vec<_>>>()?;
                if matches!(self.store, Store::Record(_)) {
                    return self.placeholder(shape);
                }
                Ok(Tensor::cat(&parts, 0)?)
            }
        }
    }

    /// The tensor in parts, when it comes from a seed or is in files in one of the forms that are read in place, and is
    /// wanted as numbers on the CPU that stay as they are.
    pub fn rows(&mut self, canonical: &str, shape: &[usize], init: Init) -> Option<Rows> {
        let wanted = matches!(self.dtype, DType::F32 | DType::BF16);
        if !wanted || !self.device.is_cpu() {
            return None;
        }
        let (pieces, shape) = match (self.layout.map)(canonical) {
            TensorSource::Key(key) => (vec![Piece::Key(key)], shape),
            TensorSource::Squeezed(key) => {
                (vec![Piece::Key(key)], &shape[shape.iter().take_while(|&&d| d == 1).count()..])
            }
            TensorSource::Concat(pieces) => (pieces, shape),
            TensorSource::Beside(_) | TensorSource::Transposed(_) | TensorSource::Part { .. } => return None,
        };
        let (&height, row) = shape.split_first()?;
        let (parts, height) = (pieces.len().max(1), height / pieces.len().max(1));
        let mut rows = Rows::new(height, row.iter().product());
        let mut keys = Vec::with_capacity(parts);
        for piece in pieces {
            let Piece::Key(key) = piece else {
                rows.push_zeros();
                continue;
            };
            let key = format!("{}{key}", self.prefix);
            if self.training.wants(&key) {
                return None;
            }
            match &self.store {
                Store::Random(seed) => rows.push_seeded(Seeded::new(*seed, &key, init)),
                Store::Files(files) => {
                    let stored = files.shape(&key)?;
                    if stored.first() != Some(&height) || stored.get(1..) != Some(row) {
                        return None;
                    }
                    rows.push(files.clone(), files.place(&key)?);
                }
                Store::Tensors(..) | Store::Record(_) => return None,
            }
            keys.push(key);
        }
        self.used.extend(keys);
        Some(rows)
    }

    /// A zero of any shape that takes no memory.
    fn placeholder(&self, shape: &[usize]) -> Result<Tensor> {
        Ok(Tensor::zeros((), self.dtype, &self.device)?.broadcast_as(shape)?)
    }

    fn stored(&mut self, key: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        self.stored_at(format!("{}{key}", self.prefix), shape, init)
    }

    fn stored_at(&mut self, key: String, shape: &[usize], init: Init) -> Result<Tensor> {
        if let Store::Record(manifest) = &self.store {
            // Parts of one tensor are asked for one after the other.
            if manifest.borrow().iter().all(|known| known.key != key) {
                manifest.borrow_mut().push(TensorInfo { key, shape: shape.to_vec(), init });
            }
            return self.placeholder(shape);
        }
        if let Store::Random(seed) = self.store {
            let mut numbers = Rows::new(1, shape.iter().product());
            numbers.push_seeded(Seeded::new(seed, &key, init));
            return self.hand_out(key, read::<f32>(&numbers, shape)?.to_dtype(self.dtype)?);
        }
        let Some(stored) = self.store.shape(&key) else {
            self.report.missing.push(key);
            return self.placeholder(shape);
        };
        self.used.insert(key.clone());
        if stored != shape {
            self.report.misshapen.push(format!("{key}: the file has {stored:?}, expected {shape:?}"));
            return self.placeholder(shape);
        }
        let tensor = self.store.load(&key)?.to_dtype(self.dtype)?;
        self.hand_out(key, tensor)
    }

    /// What is to be learnt beside the matrix `canonical`, and its published key.
    pub fn differing(&self, canonical: &str) -> Option<(Rc<LowRank>, String)> {
        let low_rank = self.low_rank.as_ref().filter(|_| !matches!(self.store, Store::Record(_)))?;
        let TensorSource::Key(key) = (self.layout.map)(canonical) else { return None };
        let key = format!("{}{key}", self.prefix);
        low_rank.targets.contains(&key).then(|| (low_rank.clone(), key))
    }

    /// A tensor on its device, as a variable where it is to be trained.
    fn hand_out(&mut self, key: String, tensor: Tensor) -> Result<Tensor> {
        if !self.training.wants(&key) {
            return Ok(tensor.to_device(&self.device)?);
        }
        self.variable(key, &tensor)
    }

    pub fn variable(&mut self, key: String, tensor: &Tensor) -> Result<Tensor> {
        let var = Var::from_tensor(&tensor.to_device(&self.device)?)?;
        let tensor = var.as_tensor().clone();
        self.vars.insert(key, var);
        Ok(tensor)
    }
}
