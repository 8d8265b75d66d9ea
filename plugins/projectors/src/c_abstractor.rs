//! Convolutional projectors.

use candle_core::{DType, Tensor};
use zoo_core::weights::{Init, Params};
use zoo_core::{Grid, Result};
use zoo_nn::activation::Activation;
use zoo_nn::resample::{Axis, Separable};

use crate::arch::Arch;
use crate::connector::Net;
use crate::mlp::Mlp;
use crate::regnet::Stage;

const HIDDEN: usize = 1024;

/// What Cambrian-1's code has under the name of C-Abstractor: a 3×3 convolution of stride 2, then two linear layers.
/// A quarter of the tokens comes out. The convolution is computed in f32.
pub struct Downsampler {
    conv: Tensor,
    readout: Mlp,
}

impl Downsampler {
    /// `downsamples` `[hidden, C, 3, 3]` and `readout`.
    pub fn load(p: &Params, arch: &Arch) -> Result<Self> {
        let (from, hidden) = (arch.channels(), arch.hidden.unwrap_or(HIDDEN));
        let shape = (hidden, from, 3, 3);
        Ok(Self {
            conv: p.pp("downsamples").get("weight", shape, Init::fan_in(9 * from))?,
            readout: Mlp::load_sequence(&p.pp("readout"), hidden, arch.output, 2, Activation::GeluErf)?,
        })
    }
}

impl Net for Downsampler {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let (batch, n, width) = tokens.dims3()?;
        let Grid { h, w } = Grid::of_tokens(n)?;
        let map = tokens.to_dtype(DType::F32)?.transpose(1, 2)?.reshape((batch, width, h, w))?;
        let map = map.conv2d(&self.conv.to_dtype(DType::F32)?, 1, 2, 1, 1)?;
        let map = map.flatten_from(2)?.transpose(1, 2)?.to_dtype(tokens.dtype())?;
        self.readout.forward(&map)
    }
}

/// C-Abstractor of Honeybee (arXiv 2312.06742): an embedding per token, a stage of RegNet blocks, an adaptive average
/// pool, another stage, linear layers with SiLU between.
pub struct CAbstractor {
    positions: Tensor,
    before: Stage,
    side: usize,
    after: Stage,
    readout: Mlp,
}

impl CAbstractor {
    /// `pos_emb` `[1, N, C]`, `net.0`, `net.2`, `readout`.
    pub fn load(p: &Params, arch: &Arch) -> Result<Self> {
        let (from, hidden) = (arch.channels(), arch.hidden.unwrap_or(HIDDEN));
        let depth = arch.depth.unwrap_or(3);
        let tokens = arch.token_len.unwrap_or_default();
        let (net, readout) = (p.pp("net"), p.pp("readout"));
        let mlp_depth = arch.mlp_depth.unwrap_or(2);
        Ok(Self {
            positions: p.get("pos_emb", (1, tokens, from), Init::Normal { mean: 0.0, std: 0.02 })?,
            before: Stage::load(&net.pp(0), from, hidden, depth)?,
            side: arch.image_token_len.unwrap_or_default().isqrt(),
            after: Stage::load(&net.pp(2), hidden, hidden, depth)?,
            readout: Mlp::load_sequence(&readout, hidden, arch.output, mlp_depth, Activation::Silu)?,
        })
    }
}

impl Net for CAbstractor {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let (batch, n, _) = tokens.dims3()?;
        let Grid { h, w } = Grid::of_tokens(n)?;
        let map = tokens.broadcast_add(&self.positions)?.reshape((batch, h, w, ()))?;
        let map = self.before.forward(&map)?.flatten(1, 2)?;
        let pool = Separable {
            rows: Axis::adaptive_average(h, self.side),
            cols: Axis::adaptive_average(w, self.side),
        };
        let map = pool.apply(&map)?.reshape((batch, self.side, self.side, ()))?;
        self.readout.forward(&self.after.forward(&map)?.flatten(1, 2)?)
    }
}
