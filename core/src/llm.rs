//! What a language model keeps between calls, and who may look in between its layers.

use std::any::Any;

use candle_core::{D, DType, Tensor};

use crate::{Error, Result};

/// Keys and values of one request, in whatever form the model that made it uses.
pub struct Cache(Box<dyn Any + Send>);

impl Cache {
    /// Wraps a model's own cache.
    pub fn new<T: Any + Send>(inner: T) -> Self {
        Self(Box::new(inner))
    }

    /// The model's own cache back.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when the cache was made by another kind of model.
    pub fn get_mut<T: Any + Send>(&mut self) -> Result<&mut T> {
        self.0.downcast_mut().ok_or_else(|| Error::invalid("this KV cache belongs to another language model"))
    }
}

/// Sees, and may replace, the hidden states `[B, T, H]` after chosen decoder layers during prefill.
pub trait LayerHook {
    /// The 0-based decoder layers after which [`LayerHook::call`] runs, ascending.
    fn after(&self) -> Vec<usize>;
    /// `hidden` after `layer`, the `step`-th of [`LayerHook::after`]; returns what the next layer sees.
    fn call(&mut self, step: usize, layer: usize, hidden: Tensor) -> Result<Tensor>;
}

/// No hook: a language model on its own.
pub struct NoHook;

impl LayerHook for NoHook {
    fn after(&self) -> Vec<usize> {
        Vec::new()
    }
    fn call(&mut self, _: usize, _: usize, hidden: Tensor) -> Result<Tensor> {
        Ok(hidden)
    }
}

/// Mean cross-entropy, in nats, of `targets` `[N]` (u32) under the distributions of `logits` `[N, V]`; a scalar in f32,
/// as are its parts. Differentiable.
///
/// # Errors
/// [`Error::Tensor`] when the shapes do not fit or there is no such class.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let logits = logits.to_dtype(DType::F32)?;
    // A constant in each row changes nothing, and needs no gradient.
    let highest = logits.detach().max_keepdim(D::Minus1)?;
    let logits = logits.broadcast_sub(&highest)?;
    let total = logits.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let hit = logits.gather(&targets.unsqueeze(1)?, 1)?;
    Ok((total - hit)?.mean_all()?)
}
