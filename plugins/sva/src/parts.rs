//! Small modules that the layers are made of, with the names that the checkpoints give them.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::Params;
use zoo_nn::activation::Activation;
use zoo_nn::linear::{Epilogue, Linear};
use zoo_nn::mlp::Mlp;
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
        self.linear.forward_normed(&self.norm, x, Epilogue::default())
    }
}

/// What stands between the layers of every network here.
const GELU: Activation = Activation::GeluErf;

/// `linear_1` and `linear_2`, without bias.
pub fn mlp(p: &Params, from: usize, hidden: usize, to: usize) -> Result<Mlp> {
    let first = Linear::load(&p.pp("linear_1"), from, hidden, false)?;
    Ok(Mlp::new(GELU, first, Linear::load(&p.pp("linear_2"), hidden, to, false)?))
}

/// `0` and `2` of a sequence, with bias; as wide inside as outside.
pub fn mlp_sequence(p: &Params, from: usize, to: usize) -> Result<Mlp> {
    let first = Linear::load(&p.pp(0), from, to, true)?;
    Ok(Mlp::new(GELU, first, Linear::load(&p.pp(2), to, to, true)?))
}
