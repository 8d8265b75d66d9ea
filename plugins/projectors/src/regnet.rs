//! A stage of RegNet-Y blocks (arXiv 2003.13678) as timm's `RegStage` builds them with LayerNorm and SiLU: stride 1,
//! bottleneck ratio 1, groups of one channel. Maps are channels-last, `[B, h, w, C]`, where a 1×1 convolution is a
//! linear layer and the norm needs no permutation.

use candle_core::{DType, Tensor};
use zoo_core::Result;
use zoo_core::weights::{Init, Params};
use zoo_nn::activation::Activation;
use zoo_nn::depthwise::Depthwise;
use zoo_nn::linear::Linear;
use zoo_nn::norm::LayerNorm;

const EPS: f64 = 1e-5;
/// Channels of the squeeze, relative to those that enter the block.
const SQUEEZE: f64 = 0.25;

/// Blocks `b1`, `b2`, …
pub struct Stage(Vec<Block>);

impl Stage {
    pub fn load(p: &Params, from: usize, to: usize, depth: usize) -> Result<Self> {
        let block = |i| Block::load(&p.pp(format_args!("b{}", i + 1)), if i == 0 { from } else { to }, to);
        Ok(Self((0..depth).map(block).collect::<Result<_>>()?))
    }

    pub fn forward(&self, map: &Tensor) -> Result<Tensor> {
        self.0.iter().enumerate().try_fold(map.clone(), |map, (done, block)| {
            zoo_core::step(done, self.0.len())?;
            block.forward(&map)
        })
    }
}

/// 1×1 convolution, 3×3 depthwise convolution, squeeze and excitation, 1×1 convolution, around a shortcut.
struct Block {
    enter: (Linear, LayerNorm),
    spread: (Depthwise, LayerNorm),
    squeeze: Linear,
    excite: Linear,
    leave: (Linear, LayerNorm),
    /// Where the channel count changes.
    shortcut: Option<(Linear, LayerNorm)>,
}

impl Block {
    fn load(p: &Params, from: usize, to: usize) -> Result<Self> {
        let se = p.pp("se");
        // Python rounds halves to even.
        let squeezed = (from as f64 * SQUEEZE).round_ties_even() as usize;
        let depthwise = p.pp("conv2").pp("conv").get("weight", (to, 1, 3, 3), Init::fan_in(9))?;
        let zeros = Tensor::zeros(to, depthwise.dtype(), depthwise.device())?;
        Ok(Self {
            enter: conv_norm(&p.pp("conv1"), from, to)?,
            spread: (Depthwise::new(&depthwise, &zeros)?, LayerNorm::load(&p.pp("conv2").pp("bn"), to, EPS)?),
            squeeze: conv(&se.pp("fc1"), to, squeezed, true)?,
            excite: conv(&se.pp("fc2"), squeezed, to, true)?,
            leave: conv_norm(&p.pp("conv3"), to, to)?,
            shortcut: (from != to).then(|| conv_norm(&p.pp("downsample"), from, to)).transpose()?,
        })
    }

    fn forward(&self, map: &Tensor) -> Result<Tensor> {
        let silu = |x: &Tensor| Activation::Silu.forward(x);
        let x = silu(&self.enter.1.forward(&self.enter.0.forward(map)?)?)?;
        let x = silu(&self.spread.0.forward(&x, &self.spread.1)?)?;
        let mean = x.to_dtype(DType::F32)?.mean_keepdim((1, 2))?.to_dtype(x.dtype())?;
        let gate = self.excite.forward(&silu(&self.squeeze.forward(&mean)?)?)?;
        let x = x.broadcast_mul(&candle_nn::ops::sigmoid(&gate)?)?;
        let x = self.leave.1.forward(&self.leave.0.forward(&x)?)?;
        let shortcut = match &self.shortcut {
            Some((conv, norm)) => norm.forward(&conv.forward(map)?)?,
            None => map.clone(),
        };
        silu(&(x + shortcut)?)
    }
}

/// A 1×1 convolution and the norm after it.
fn conv_norm(p: &Params, from: usize, to: usize) -> Result<(Linear, LayerNorm)> {
    Ok((conv(&p.pp("conv"), from, to, false)?, LayerNorm::load(&p.pp("bn"), to, EPS)?))
}

/// A 1×1 convolution, `weight` `[to, from, 1, 1]`.
fn conv(p: &Params, from: usize, to: usize, bias: bool) -> Result<Linear> {
    let init = Init::fan_in(from);
    let weight = p.get("weight", (to, from, 1, 1), init)?.reshape((to, from))?;
    let bias = bias.then(|| p.get("bias", to, init)).transpose()?;
    Ok(Linear::new(weight, bias))
}
