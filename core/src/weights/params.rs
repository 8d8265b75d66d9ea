//! Reading tensors by canonical name.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Shape, Tensor, Var, WithDType};
use half::bf16;
use serde::{Deserialize, Serialize};
use zoo_kernels::Element;

use super::adapter;
use super::random::Seeded;
use super::store::Store;
use super::{
    Blocks, Checkpoint, Difference, Layout, LowRank, Piece, Rows, TensorSource, Training, Weights,
    WeightsReport,
};
use crate::{Error, Quantisation, Result, Trainable};

/// How a tensor starts when nobody trained it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// All the same.
    Const(f64),
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in `-bound..bound`.
    Uniform {
        /// Bound.
        bound: f64,
    },
}

impl Init {
    /// torch's default for the weight and the bias of a linear or convolution layer with this many inputs.
    pub fn fan_in(inputs: usize) -> Self {
        Self::Uniform { bound: 1.0 / (inputs.max(1) as f64).sqrt() }
    }
}

/// One tensor of a checkpoint: what a manifest lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorInfo {
    /// Key in the published layout, prefix included.
    pub key: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// How it starts when made from nothing.
    pub init: Init,
}

struct State {
    store: Store,
    layout: Layout,
    prefix: Arc<str>,
    device: Device,
    dtype: DType,
    training: Training,
    low_rank: Option<Rc<LowRank>>,
    quantise: Option<Quantisation>,
    quantised: BTreeMap<Quantisation, u64>,
    report: WeightsReport,
    used: BTreeSet<String>,
    vars: BTreeMap<String, Var>,
    count: u64,
}

/// A view of the checkpoint at one path of names. Clones share what was read and what went wrong.
#[derive(Clone)]
pub struct Params {
    state: Rc<RefCell<State>>,
    path: String,
}

/// What is known once everything was read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Number of parameters.
    pub parameters: u64,
    /// How many of them are held in blocks of each format.
    pub quantised: BTreeMap<Quantisation, u64>,
    /// Name of the layout that was read.
    pub layout: &'static str,
    /// The prefix under which it stood, that of wrappers included.
    pub prefix: Arc<str>,
    /// Variables by published key: those that were to be trained.
    pub vars: BTreeMap<String, Var>,
}

impl Loaded {
    /// The variables, if there are any.
    pub fn trainable(&self) -> Option<&dyn Trainable> {
        (!self.vars.is_empty()).then_some(self)
    }
}

impl Trainable for Loaded {
    fn variables(&self) -> &BTreeMap<String, Var> {
        &self.vars
    }

    fn replace(&self, values: &BTreeMap<String, Tensor>) -> Result<()> {
        let mut pairs = Vec::with_capacity(values.len());
        for (key, value) in values {
            let var = self.vars.get(key);
            let var =
                var.ok_or_else(|| Error::invalid(format!("there is no trainable parameter `{key}`")))?;
            if (var.dims(), var.dtype()) != (value.dims(), value.dtype()) {
                return Err(Error::invalid(format!(
                    "parameter `{key}` is {:?} {:?}, not {:?} {:?}",
                    var.dims(),
                    var.dtype(),
                    value.dims(),
                    value.dtype()
                )));
            }
            pairs.push((var, value));
        }
        for (var, value) in pairs {
            var.set(&value.to_device(var.device())?.contiguous()?)?;
        }
        Ok(())
    }
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

    /// Whether the checkpoint holds the first stored part of `name`; always true when recording or made from
    /// a seed.
    pub fn contains(&self, name: &str) -> bool {
        let state = self.state.borrow();
        let canonical = join(&self.path, name);
        let first = match (state.layout.map)(&canonical) {
            TensorSource::Key(key) | TensorSource::Squeezed(key) => Some(key),
            TensorSource::Concat(pieces) => pieces.into_iter().find_map(|p| match p {
                Piece::Key(key) => Some(key),
                Piece::Zeros => None,
            }),
        };
        match (&state.store, first) {
            (Store::Record(_) | Store::Random(_), _) | (_, None) => true,
            (store, Some(key)) => store.contains(&format!("{}{key}", state.prefix)),
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
        state.count += (height * width) as u64;
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
        let wants = |key: &String| state.training.wants(&format!("{}{key}", state.prefix));
        match (state.layout.map)(&join(&self.path, name)) {
            TensorSource::Key(key) | TensorSource::Squeezed(key) => wants(&key),
            TensorSource::Concat(pieces) => {
                pieces.iter().any(|piece| matches!(piece, Piece::Key(key) if wants(key)))
            }
        }
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

/// What training scripts put before all names of a model: `DistributedDataParallel`, and modules of which the model is an
/// attribute.
const WRAPPINGS: [&str; 4] = ["module.", "model.", "module.model.", "model.module."];

/// The first layout and prefix whose marker is in the files; behind a wrapping only where it is not there without one.
fn detect(files: &Checkpoint, wanted: &[&Layout]) -> Result<(Layout, Arc<str>)> {
    let behind = |wrapping: &str| {
        wanted.iter().find_map(|layout| {
            let prefixes = layout.prefixes.iter().map(|prefix| format!("{wrapping}{prefix}"));
            let mut found = prefixes.filter(|prefix| files.contains(&format!("{prefix}{}", layout.marker)));
            found.next().map(|prefix| ((*layout).clone(), Arc::from(prefix)))
        })
    };
    if let Some(found) = behind("") {
        return Ok(found);
    }
    let mut wrapped: Vec<(Layout, Arc<str>)> =
        WRAPPINGS.iter().filter_map(|wrapping| behind(wrapping)).collect();
    wrapped.dedup_by(|(_, a), (_, b)| a == b);
    match wrapped.as_slice() {
        [found] => Ok(found.clone()),
        [] if files.keys().any(adapter::is_part) => Err(files.fault(adapter::advice(None))),
        [] => Err(files.fault(unknown(files, wanted))),
        [(_, first), (_, second), ..] => Err(files.fault(format!(
            "the weights stand there twice, under `{first}` and under `{second}`; keep the ones that are meant"
        ))),
    }
}

/// What was looked for.
fn unknown(files: &Checkpoint, wanted: &[&Layout]) -> String {
    let tried: Vec<_> = wanted
        .iter()
        .map(|l| {
            let keys: Vec<_> = l.prefixes.iter().map(|prefix| format!("`{prefix}{}`", l.marker)).collect();
            format!("{} ({})", l.name, keys.join(" or "))
        })
        .collect();
    format!(
        "no known layout: looked for {}; the file has {} tensors, such as {}",
        tried.join(", "),
        files.len(),
        files.sample()
    )
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A whole tensor.
fn read<T: Element + WithDType>(rows: &Rows, shape: &[usize]) -> Result<Tensor> {
    let mut values = vec![<T as Element>::round(0.0); rows.count()];
    rows.read_parallel(&mut values);
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

impl State {
    fn get(&mut self, canonical: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        self.count += shape.iter().product::<usize>() as u64;
        if let Some(rows) = self.rows(canonical, shape, init) {
            return match self.dtype {
                DType::BF16 => read::<bf16>(&rows, shape),
                _ => read::<f32>(&rows, shape),
            };
        }
        match (self.layout.map)(canonical) {
            TensorSource::Key(key) => self.stored(&key, shape, init),
            TensorSource::Squeezed(key) => {
                let leading = shape.iter().take_while(|&&d| d == 1).count();
                Ok(self.stored(&key, &shape[leading..], init)?.reshape(shape)?)
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
    fn rows(&mut self, canonical: &str, shape: &[usize], init: Init) -> Option<Rows> {
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
        let key = format!("{}{key}", self.prefix);
        if let Store::Record(manifest) = &self.store {
            manifest.borrow_mut().push(TensorInfo { key, shape: shape.to_vec(), init });
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
    fn differing(&self, canonical: &str) -> Option<(Rc<LowRank>, String)> {
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

    fn variable(&mut self, key: String, tensor: &Tensor) -> Result<Tensor> {
        let var = Var::from_tensor(&tensor.to_device(&self.device)?)?;
        let tensor = var.as_tensor().clone();
        self.vars.insert(key, var);
        Ok(tensor)
    }
}
