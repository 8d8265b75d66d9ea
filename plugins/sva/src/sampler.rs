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
        let (x, layers) = self.by_layer(queries, scene)?;
        let mean = (0..scene.views.len()).map(|k| {
            let of_layers: Vec<&Tensor> = layers.iter().map(|shares| &shares[k]).collect();
            Ok(Tensor::stack(&of_layers, 0)?.mean(0)?)
        });
        let mean = mean.collect::<Result<_>>()?;
        Ok((x, mean))
    }

    /// As [`Sampler::forward`], with the shares of each layer: `[layer][encoder]`, averaged over heads.
    pub fn by_layer(&self, queries: Tensor, scene: &Scene) -> Result<(Tensor, Vec<Vec<Tensor>>)> {
        let (mut x, mut all) = (queries, Vec::with_capacity(self.0.len()));
        for (done, layer) in self.0.iter().enumerate() {
            zoo_core::step(done, self.0.len())?;
            let (next, shares) = layer.forward(&x, scene)?;
            x = next;
            all.push(shares);
        }
        Ok((x, all))
    }
}
