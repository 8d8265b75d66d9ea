//! Normalisation over channels, always computed in f32.

use candle_core::{D, DType, Tensor};
use zoo_core::Result;
use zoo_core::weights::{Init, Params};

/// LayerNorm over the last axis (arXiv 1607.06450), statistics and scaling in f32 whatever the dtype of the input.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias` `[channels]` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, eps: f64) -> Result<Self> {
        let weight = params.get("weight", channels, Init::Const(1.0))?;
        let bias = params.get("bias", channels, Init::Const(0.0))?;
        Ok(Self { weight, bias, eps })
    }

    /// Any shape ending in `channels`; the dtype stays.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let dtype = x.dtype();
        let x = x.to_dtype(DType::F32)?;
        let weight = self.weight.to_dtype(DType::F32)?;
        let bias = self.bias.to_dtype(DType::F32)?;
        let out = if x.track_op() || weight.track_op() || bias.track_op() {
            // The fused kernel has no backward pass.
            let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
            let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
            let unit = centred.broadcast_div(&(variance + self.eps)?.sqrt()?)?;
            unit.broadcast_mul(&weight)?.broadcast_add(&bias)?
        } else {
            candle_nn::ops::layer_norm(&x.contiguous()?, &weight, &bias, self.eps as f32)?
        };
        Ok(out.to_dtype(dtype)?)
    }
}

/// RMSNorm over the last axis (arXiv 1910.07467), in f32 whatever the dtype of the input; the weight multiplies
/// before rounding back.
#[derive(Debug, Clone)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// Reads `weight` `[channels]` at `params`.
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load(params: &Params, channels: usize, eps: f64) -> Result<Self> {
        Ok(Self { weight: params.get("weight", channels, Init::Const(1.0))?, eps })
    }

    /// Reads `weight` `[channels]` at `params` and multiplies by `1 + weight`, the sum being kept in f32
    /// (`transformers.GemmaRMSNorm`).
    ///
    /// # Errors
    /// Those of [`Params::get`].
    pub fn load_unit_offset(params: &Params, channels: usize, eps: f64) -> Result<Self> {
        let difference = params.get("weight", channels, Init::Const(0.0))?;
        Ok(Self { weight: (difference.to_dtype(DType::F32)? + 1.0)?, eps })
    }

    /// Any shape ending in `channels`; the dtype stays.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the last axis does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let dtype = x.dtype();
        let x = x.to_dtype(DType::F32)?;
        let weight = self.weight.to_dtype(DType::F32)?;
        let out = if x.track_op() || weight.track_op() {
            // The fused kernel has no backward pass.
            let square = x.sqr()?.mean_keepdim(D::Minus1)?;
            x.broadcast_div(&(square + self.eps)?.sqrt()?)?.broadcast_mul(&weight)?
        } else {
            candle_nn::ops::rms_norm(&x.contiguous()?, &weight, self.eps as f32)?
        };
        Ok(out.to_dtype(dtype)?)
    }
}
