//! The feed-forward half of a decoder layer.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::Params;

use super::config::DecoderConfig;
use super::projections::Projections;
use crate::activation::Activation;
use crate::gated::Branches;
use crate::linear::{Epilogue, Linear, Residual};
use crate::quantised::{self, RowOrder};

/// `down(activation(gate x) · up x)` (arXiv 2002.05202).
pub(super) struct GatedMlp {
    gate_up: Projections<2>,
    down: Linear,
    activation: Activation,
}

impl GatedMlp {
    pub fn load(params: &Params, config: &DecoderConfig) -> Result<Self> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            gate_up: Projections::load(
                params,
                config.style.packed.then_some("gate_up_proj"),
                [("gate_proj", inner, RowOrder::Same), ("up_proj", inner, RowOrder::Same)],
                width,
                false,
            )?,
            down: quantised::load(&params.pp("down_proj"), inner, width, false, RowOrder::Same)?,
            activation: config.style.activation,
        })
    }

    /// Any shape ending in the width; added to `residual` if there is one.
    pub fn forward(&self, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        let inner = match &self.gate_up {
            Projections::Packed(map, _) => Branches::Joint(&map.forward(x)?).multiply(self.activation)?,
            Projections::Apart([gate, up]) => {
                Branches::Apart(&gate.forward(x)?, &up.forward(x)?).multiply(self.activation)?
            }
        };
        self.down.forward_with(&inner, Epilogue { activation: None, residual })
    }
}
