//! What is known of weights once they were read.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Tensor, Var};

use crate::{Error, Quantisation, Result, Trainable};

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
