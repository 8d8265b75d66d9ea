//! What stands behind a [`super::Params`]: files, tensors in memory, or nothing at all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::Tensor;

use super::{Checkpoint, Kind, TensorInfo};
use crate::{Error, Result};

/// A source of named tensors.
#[derive(Clone)]
pub(super) enum Store {
    /// Weight files.
    Files(Checkpoint),
    /// Tensors in memory; with the prefix, where it is known.
    Tensors(Rc<BTreeMap<String, Tensor>>, Option<Arc<str>>),
    /// Nothing: requests are written down.
    Record(Rc<RefCell<Vec<TensorInfo>>>),
    /// Nothing: tensors are made from this seed.
    Random(u64),
}

impl From<&Kind> for Store {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Files(files) => Self::Files(files.clone()),
            Kind::Tensors(tensors, prefix) => Self::Tensors(tensors.clone(), prefix.clone()),
            Kind::Record(list) => Self::Record(list.clone()),
            Kind::Random(seed) => Self::Random(*seed),
        }
    }
}

impl Store {
    /// All names; none where there is no end of them.
    pub(super) fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Files(files) => Box::new(files.keys()),
            Self::Tensors(tensors, _) => Box::new(tensors.keys().map(String::as_str)),
            Self::Record(_) | Self::Random(_) => Box::new(std::iter::empty()),
        }
    }

    /// Whether a tensor of this name is there.
    pub(super) fn contains(&self, key: &str) -> bool {
        self.shape(key).is_some()
    }

    /// Its shape.
    pub(super) fn shape(&self, key: &str) -> Option<&[usize]> {
        match self {
            Self::Files(files) => files.shape(key),
            Self::Tensors(tensors, _) => tensors.get(key).map(Tensor::dims),
            Self::Record(_) | Self::Random(_) => None,
        }
    }

    /// The tensor, on its device and in its dtype.
    pub(super) fn load(&self, key: &str) -> Result<Tensor> {
        match self {
            Self::Files(files) => files.load(key),
            Self::Tensors(tensors, _) => {
                let found = tensors.get(key).cloned();
                found.ok_or_else(|| Error::Internal(format!("there is no tensor `{key}` in memory")))
            }
            Self::Record(_) | Self::Random(_) => {
                Err(Error::Internal(format!("`{key}` is not stored anywhere")))
            }
        }
    }

    /// What to call it in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Files(files) => files.name(),
            Self::Tensors(..) => "tensors in memory".to_owned(),
            Self::Record(_) | Self::Random(_) => String::new(),
        }
    }
}
