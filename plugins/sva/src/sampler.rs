//! A stack of layers over the same scene.

use candle_core::Tensor;
use zoo_core::Result;
use zoo_core::weights::Params;

use crate::arch::LayerType;
use crate::layer::{Layer, Shape};
use crate::scene::Scene;

/// `VisionTokenSampler` of the released checkpoints.
pub struct Sampler(Vec<Layer>);

impl Sampler {
    /// `depth` layers.
    pub fn load(p: &Params, shape: &Shape, kind: LayerType, depth: usize) -> Result<Self> {
        let layer = |d| Layer::load(&p.pp("layers").pp(d), shape, kind);
        Ok(Self((0..depth).map(layer).collect::<Result<_>>()?))
    }

    /// Queries `[B, n, q_dim]` in and out, and each encoder's share of attention, f32 `[B, n]`, averaged over
    /// heads and layers.
    pub fn forward(&self, queries: Tensor, scene: &Scene) -> Result<(Tensor, Vec<Tensor>)> {
        let mut x = queries;
        let mut total: Vec<Tensor> = Vec::new();
        for layer in &self.0 {
            let (next, shares) = layer.forward(&x, scene)?;
            x = next;
            total = if total.is_empty() {
                shares
            } else {
                total.iter().zip(&shares).map(|(a, b)| Ok((a + b)?)).collect::<Result<_>>()?
            };
        }
        let depth = self.0.len() as f64;
        let mean = total.iter().map(|share| Ok((share / depth)?)).collect::<Result<_>>()?;
        Ok((x, mean))
    }
}
