//! Affine maps.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::{Init, Params};

/// `x Wᵀ + b` on the last axis, `W` being `[out, in]` as PyTorch stores it.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads `weight` `[outputs, inputs]` and, if there is one, `bias` `[outputs]` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let init = Init::fan_in(inputs);
        let weight = params.get("weight", (outputs, inputs), init)?;
        let bias = if bias { Some(params.get("bias", outputs, init)?) } else { None };
        Ok(Self { weight, bias })
    }

    /// From tensors at hand: `weight` `[out, in]`, `bias` `[out]`.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `[…, in]` to `[…, out]`.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (outputs, inputs) = self.weight.dims2()?;
        let rows = x.elem_count() / inputs.max(1);
        // One product over all rows: candle would otherwise loop over the batch.
        let flat = x.reshape((rows, inputs))?.matmul(&self.weight.t()?)?;
        let flat = match &self.bias {
            Some(bias) => flat.broadcast_add(bias)?,
            None => flat,
        };
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        Ok(flat.reshape(shape)?)
    }
}
