//! What stands behind a [`super::Params`]: files, tensors in memory, or nothing at all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::Tensor;

use super::{Checkpoint, Kind, TensorInfo};
use crate::{Error, Result};

/// A source of named tensors.
#[derive(Clone)]
pub(super) enum Store {
    /// Weight files.
    Files(Checkpoint),
    /// Tensors in memory.
    Tensors(Rc<BTreeMap<String, Tensor>>),
    /// Nothing: requests are written down.
    Record(Rc<RefCell<Vec<TensorInfo>>>),
}

impl From<&Kind> for Store {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Files(files) => Self::Files(files.clone()),
            Kind::Tensors(tensors) => Self::Tensors(tensors.clone()),
            Kind::Record(list) => Self::Record(list.clone()),
        }
    }
}

impl Store {
    /// All names; none when recording.
    pub(super) fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Files(files) => Box::new(files.keys()),
            Self::Tensors(tensors) => Box::new(tensors.keys().map(String::as_str)),
            Self::Record(_) => Box::new(std::iter::empty()),
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
            Self::Tensors(tensors) => tensors.get(key).map(Tensor::dims),
            Self::Record(_) => None,
        }
    }

    /// The tensor, on its device and in its dtype.
    pub(super) fn load(&self, key: &str) -> Result<Tensor> {
        match self {
            Self::Files(files) => files.load(key),
            Self::Tensors(tensors) => {
                let found = tensors.get(key).cloned();
                found.ok_or_else(|| Error::Internal(format!("there is no tensor `{key}` in memory")))
            }
            Self::Record(_) => Err(Error::Internal(format!("`{key}` was recorded, not stored"))),
        }
    }

    /// What to call it in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Files(files) => files.name(),
            Self::Tensors(_) => "tensors in memory".to_owned(),
            Self::Record(_) => String::new(),
        }
    }

    /// No layout fits; `tried` says which were looked for.
    pub(super) fn unknown_layout(&self, tried: &str) -> Error {
        let sample: Vec<String> = self.keys().take(3).map(|k| format!("`{k}`")).collect();
        let message = format!(
            "no known layout: looked for {tried}; there are {} tensors, such as {}",
            self.keys().count(),
            sample.join(", ")
        );
        match self {
            Self::Files(files) => files.fault(message),
            _ => Error::invalid(message),
        }
    }
}
