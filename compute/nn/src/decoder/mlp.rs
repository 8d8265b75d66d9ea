//! The feed-forward half of a decoder layer.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::Params;

use super::config::DecoderConfig;
use crate::activation::Activation;
use crate::gated::Branches;
use crate::linear::{Epilogue, Linear, Residual};
use crate::mlp::Mlp;
use crate::quantised::{self, RowOrder};

/// `down(activation(gate x) · up x)` (arXiv 2002.05202).
pub(super) enum GatedMlp {
    /// Two maps, whose results meet in the epilogue of their product where weights are in panels.
    Apart(Mlp),
    /// One matrix of both, as the file has it: quantised, on another device, or something about it to be trained.
    Joint { gate_up: Linear, activation: Activation, down: Linear },
}

impl GatedMlp {
    pub fn load(params: &Params, config: &DecoderConfig) -> Result<Self> {
        let (width, inner, activation) =
            (config.hidden_size, config.intermediate_size, config.style.activation);
        let load =
            |name, inputs, outputs| quantised::load(&params.pp(name), inputs, outputs, false, RowOrder::Same);
        let branches = if config.style.packed {
            let name = "gate_up_proj";
            let joint = params.pp(name);
            let panels = joint.device().is_cpu() && !joint.trains("weight") && !joint.differs("weight");
            if !panels || quantised::applies(&joint, width, 2 * inner)? {
                let gate_up = load(name, width, 2 * inner)?;
                return Ok(Self::Joint { gate_up, activation, down: load("down_proj", inner, width)? });
            }
            Linear::load_stacked(&joint, width, [inner; 2], false)?
        } else {
            [load("gate_proj", width, inner)?, load("up_proj", width, inner)?]
        };
        Ok(Self::Apart(Mlp::gated(activation, branches, load("down_proj", inner, width)?)))
    }

    /// Any shape ending in the width; added to `residual` if there is one.
    pub fn forward(&self, x: &Tensor, residual: Option<Residual<'_>>) -> Result<Tensor> {
        match self {
            Self::Apart(mlp) => mlp.forward(x, residual),
            Self::Joint { gate_up, activation, down } => {
                let inner = Branches::Joint(&gate_up.forward(x)?).multiply(*activation)?;
                down.forward_with(&inner, Epilogue { activation: None, residual })
            }
        }
    }
}
