//! Networks that see one token at a time, or nearly so.

use candle_core::{DType, Tensor};
use zoo_core::Result;
use zoo_core::weights::Params;
use zoo_nn::activation::Activation;
use zoo_nn::linear::Linear;

use crate::arch::Arch;
use crate::connector::Net;

/// Tokens as they are.
pub struct Identity;

impl Net for Identity {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        Ok(tokens.clone())
    }
}

/// Linear layers with an activation between.
pub struct Mlp {
    layers: Vec<Linear>,
    act: Activation,
}

impl Mlp {
    /// A single layer, right at `p`.
    pub fn load_one(p: &Params, arch: &Arch) -> Result<Self> {
        let layer = Linear::load(p, arch.channels(), arch.output, true)?;
        Ok(Self { layers: vec![layer], act: Activation::GeluErf })
    }

    /// `mlp{depth}x_gelu`.
    pub fn load(p: &Params, arch: &Arch) -> Result<Self> {
        Self::load_sequence(p, arch.channels(), arch.output, arch.depth.unwrap_or(2), Activation::GeluErf)
    }

    /// `depth` layers at `0`, `2`, `4`, …
    pub fn load_sequence(p: &Params, from: usize, to: usize, depth: usize, act: Activation) -> Result<Self> {
        let layer = |i: usize| Linear::load(&p.pp(2 * i), if i == 0 { from } else { to }, to, true);
        Ok(Self { layers: (0..depth).map(layer).collect::<Result<_>>()?, act })
    }
}

impl Net for Mlp {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let mut x = tokens.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            zoo_core::step(i, self.layers.len())?;
            if i > 0 {
                x = self.act.forward(&x)?;
            }
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}

/// Two linear layers after a gate on channels that sees the mean of all tokens.
pub struct SeMlp {
    squeeze: Linear,
    excite: Linear,
    proj: Mlp,
}

impl SeMlp {
    /// `se.0`, `se.2`, `proj.0`, `proj.2`.
    pub fn load(p: &Params, arch: &Arch) -> Result<Self> {
        let (from, se) = (arch.channels(), p.pp("se"));
        Ok(Self {
            squeeze: Linear::load(&se.pp(0), from, from, false)?,
            excite: Linear::load(&se.pp(2), from, from, false)?,
            proj: Mlp::load_sequence(&p.pp("proj"), from, arch.output, 2, Activation::GeluErf)?,
        })
    }
}

impl Net for SeMlp {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let mean = tokens.to_dtype(DType::F32)?.mean_keepdim(1)?.to_dtype(tokens.dtype())?;
        let inner = Activation::GeluErf.forward(&self.squeeze.forward(&mean)?)?;
        let gate = candle_nn::ops::sigmoid(&self.excite.forward(&inner)?)?;
        self.proj.forward(&(tokens.broadcast_mul(&gate)? + tokens)?)
    }
}
