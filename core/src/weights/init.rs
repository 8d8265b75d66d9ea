//! What a checkpoint holds, and with which numbers a tensor begins.

use serde::{Deserialize, Serialize};

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
