//! Reading tensors by canonical name.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use candle_core::{DType, Device, Shape, Tensor};

use super::detect::detect;
use super::random::Seeded;
use super::state::{State, read};
use super::store::Store;
use super::{Blocks, Difference, Init, Layout, Loaded, LowRank, Rows, TensorSource, Weights, WeightsReport};
use crate::{Error, Quantisation, Result};

/// A view of the checkpoint at one path of names. Clones share what was read and what went wrong.
#[derive(Clone)]
pub struct Params {
    state: Rc<RefCell<State>>,
    path: String,
}

impl Params {
    pub(super) fn new(weights: &Weights, layouts: &[Layout], device: &Device) -> Result<Self> {
        let wanted: Vec<&Layout> =
            layouts.iter().filter(|l| weights.layout.as_deref().is_none_or(|name| l.name == name)).collect();
        if wanted.is_empty() {
            let known: Vec<_> = layouts.iter().map(|l| l.name).collect();
            return Err(Error::invalid(format!(
                "there is no layout `{}`; known: {}",
                weights.layout.as_deref().unwrap_or(""),
                known.join(", ")
            )));
        }
        let store = Store::from(&weights.kind);
        let (layout, prefix) = match &store {
            Store::Tensors(_, Some(prefix)) => (wanted[0].clone(), prefix.clone()),
            Store::Record(_) | Store::Random(_) | Store::Tensors(_, None) => {
                (wanted[0].clone(), wanted[0].prefixes.first().copied().unwrap_or("").into())
            }
            Store::Files(files) => detect(files, &wanted)?,
        };
        let report =
            WeightsReport { files: store.name(), layout: layout.name.to_owned(), ..WeightsReport::default() };
        let state = State {
            store,
            layout,
            prefix,
            device: device.clone(),
            dtype: weights.dtype,
            training: weights.training.clone(),
            low_rank: weights.low_rank.clone(),
            quantise: weights.quantise,
            vectors: weights.vectors,
            quantised: BTreeMap::new(),
            report,
            used: BTreeSet::new(),
            vars: BTreeMap::new(),
            count: 0,
        };
        Ok(Self { state: Rc::new(RefCell::new(state)), path: String::new() })
    }

    /// The view one name deeper.
    #[must_use]
    pub fn pp(&self, name: impl std::fmt::Display) -> Self {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Self { state: self.state.clone(), path }
    }

    /// Name of the layout that is being read.
    pub fn layout(&self) -> &'static str {
        self.state.borrow().layout.name
    }

    /// The dtype in which tensors are handed out.
    pub fn dtype(&self) -> DType {
        self.state.borrow().dtype
    }

    /// The device on which tensors are handed out.
    pub fn device(&self) -> Device {
        self.state.borrow().device.clone()
    }

    /// The block format that was asked for, for whoever can compute with it.
    pub fn quantise(&self) -> Option<Quantisation> {
        self.state.borrow().quantise
    }

    /// Whether what makes one vector of an image is wanted.
    pub fn vectors(&self) -> bool {
        self.state.borrow().vectors
    }

    /// Whether the checkpoint holds the first stored part of `name`; always true when recording or made from
    /// a seed.
    pub fn contains(&self, name: &str) -> bool {
        let state = self.state.borrow();
        let canonical = join(&self.path, name);
        let first = (state.layout.map)(&canonical).keys(&state.prefix).into_iter().next();
        match (&state.store, first) {
            (Store::Record(_) | Store::Random(_), _) | (_, None) => true,
            (store, Some(key)) => store.contains(&key),
        }
    }

    /// The tensor `name`, on the device, in the dtype. Always gives a tensor of this shape: what is missing or
    /// misshapen is reported by [`Params::finish`].
    ///
    /// # Errors
    /// Reading or converting failed: a truncated file, no memory.
    pub fn get(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Tensor> {
        self.state.borrow_mut().get(&join(&self.path, name), shape.into().dims(), init)
    }

    /// The matrix `name` of so many rows and columns, to be read where it stands in the files or made row by row.
    /// `None` where it must be taken by [`Params::get`]: it is to be trained, to go to another device, in a form that
    /// is not read in place, or not there.
    pub fn rows(&self, name: &str, (height, width): (usize, usize), init: Init) -> Option<Rows> {
        let mut state = self.state.borrow_mut();
        let rows = state.rows(&join(&self.path, name), &[height, width], init)?;
        state.count += state.stored_share(&join(&self.path, name), height * width);
        Some(rows)
    }

    /// The matrix `name` of so many rows and columns in the blocks in which it is stored, for whoever can compute with
    /// them. `None` where it must be taken by [`Params::rows`] or [`Params::get`].
    pub fn blocks(&self, name: &str, (height, width): (usize, usize)) -> Option<Blocks> {
        let mut state = self.state.borrow_mut();
        let Store::Files(files) = &state.store else { return None };
        if !state.device.is_cpu() {
            return None;
        }
        let TensorSource::Key(key) = (state.layout.map)(&join(&self.path, name)) else { return None };
        let key = format!("{}{key}", state.prefix);
        if state.training.wants(&key) {
            return None;
        }
        let blocks = files.blocks(&key).filter(|_| files.shape(&key) == Some(&[height, width]))?;
        state.used.insert(key);
        Some(blocks)
    }

    /// Counts parameters that [`Params::blocks`] gave.
    pub fn count(&self, parameters: usize) {
        self.state.borrow_mut().count += parameters as u64;
    }

    /// Whether the tensor `name`, or a part of it, is handed out as a variable.
    pub fn trains(&self, name: &str) -> bool {
        let state = self.state.borrow();
        let source = (state.layout.map)(&join(&self.path, name));
        source.keys(&state.prefix).iter().any(|key| state.training.wants(key))
    }

    /// Whether [`Params::difference`] has something for the matrix `name`.
    pub fn differs(&self, name: &str) -> bool {
        self.state.borrow().differing(&join(&self.path, name)).is_some()
    }

    /// The low-rank difference that is to be learnt beside the matrix `name` of so many rows and columns, if there is to
    /// be one; its parts become variables.
    ///
    /// # Errors
    /// As [`Params::get`].
    pub fn difference(&self, name: &str, (height, width): (usize, usize)) -> Result<Option<Difference>> {
        let mut state = self.state.borrow_mut();
        let Some((low_rank, key)) = state.differing(&join(&self.path, name)) else { return Ok(None) };
        let [down, up] = LowRank::keys(&key);
        let mut numbers = Rows::new(low_rank.rank, width);
        numbers.push_seeded(Seeded::new(low_rank.seed, &down, Init::fan_in(width)));
        let begun = read::<f32>(&numbers, &[low_rank.rank, width])?.to_dtype(state.dtype)?;
        let zeros = Tensor::zeros((height, low_rank.rank), state.dtype, &Device::Cpu)?;
        let (down, up) = (state.variable(down, &begun)?, state.variable(up, &zeros)?);
        Ok(Some(Difference { key, down, up, scale: low_rank.scale, dropout: low_rank.dropout }))
    }

    /// Writes down that so many weights are held in blocks of this format: [`Loaded::quantised`].
    pub fn note_quantised(&self, format: Quantisation, weights: usize) {
        *self.state.borrow_mut().quantised.entry(format).or_default() += weights as u64;
    }

    /// A text of the files' metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        match &self.state.borrow().store {
            Store::Files(files) => files.metadata()?.text(key).map(str::to_owned),
            _ => None,
        }
    }

    /// Whether tensors stand for nothing but their shape.
    pub fn is_recording(&self) -> bool {
        matches!(self.state.borrow().store, Store::Record(_))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::Weights`] listing every missing, misshapen and unexpected tensor.
    pub fn finish(self) -> Result<Loaded> {
        let mut state = self.state.borrow_mut();
        let extra = state
            .store
            .keys()
            .filter_map(|key| key.strip_prefix(&*state.prefix).map(|short| (key, short)))
            .filter(|(key, short)| !state.used.contains(*key) && !state.layout.ignores(short))
            .map(|(key, _)| key.to_owned())
            .collect();
        state.report.extra = extra;
        if !state.report.is_clean() {
            return Err(state.report.clone().into());
        }
        Ok(Loaded {
            parameters: state.count,
            quantised: std::mem::take(&mut state.quantised),
            layout: state.layout.name,
            prefix: state.prefix.clone(),
            vars: std::mem::take(&mut state.vars),
        })
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
