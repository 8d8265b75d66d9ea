//! Small modules that the layers are made of, with the names that the checkpoints give them.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::Params;
use zoo_nn::activation::Activation;
use zoo_nn::linear::Linear;
use zoo_nn::norm::LayerNorm;

/// torch's default, which every norm here has.
pub const EPS: f64 = 1e-5;

/// LayerNorm, then a linear layer without bias: `0` and `1` of a projection.
pub struct NormLinear {
    norm: LayerNorm,
    linear: Linear,
}

impl NormLinear {
    pub fn load(p: &Params, width: usize) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::load(&p.pp(0), width, EPS)?,
            linear: Linear::load(&p.pp(1), width, width, false)?,
        })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.linear.forward(&self.norm.forward(x)?)
    }
}

/// Two linear layers around an exact GELU.
pub struct Mlp {
    first: Linear,
    second: Linear,
}

impl Mlp {
    /// `linear_1` and `linear_2`, without bias.
    pub fn load(p: &Params, from: usize, hidden: usize, to: usize) -> Result<Self> {
        Ok(Self {
            first: Linear::load(&p.pp("linear_1"), from, hidden, false)?,
            second: Linear::load(&p.pp("linear_2"), hidden, to, false)?,
        })
    }

    /// `0` and `2` of a sequence, with bias; as wide inside as outside.
    pub fn load_sequence(p: &Params, from: usize, to: usize) -> Result<Self> {
        Ok(Self {
            first: Linear::load(&p.pp(0), from, to, true)?,
            second: Linear::load(&p.pp(2), to, to, true)?,
        })
    }

    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.second.forward(&Activation::GeluErf.forward(&self.first.forward(x)?)?)
    }
}
