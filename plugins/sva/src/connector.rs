//! The connector: from encoder features to image tokens, and back into the language model's layers.

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::{Init, Layout, Loaded, Params, TensorSource, Weights};
use zoo_core::{
    Cells, Connector, ConnectorDescriptor, ConnectorInput, ConnectorInputs, Error, Fused, Grid, ImageBlock,
    LayerAttention, Result, Spec, Trainable, unpad,
};
use zoo_nn::cast::to_dtype;
use zoo_nn::mlp::Mlp;
use zoo_nn::norm::LayerNorm;
use zoo_nn::pool;
use zoo_nn::resample::Separable;

use crate::arch::{Arch, LayerType};
use crate::layer::Shape;
use crate::parts::{EPS, mlp_sequence};
use crate::sampler::Sampler;
use crate::scene::Scene;

/// Inside a language model's checkpoint, or on its own after connector training, where the prefix is there too
/// but not everyone keeps it.
const LAYOUTS: &[Layout] = &[Layout {
    name: "cambrian",
    prefixes: &["model.", ""],
    marker: "vision_query",
    map: |name| TensorSource::key(name),
    ignored: &["embed_tokens.*", "layers.*", "norm.*", "lm_head.*", "vision_tower_aux_list.*"],
}];

/// Brings one encoder's tokens to width `C`: `mm_projector_aux_{k}`.
struct Auxiliary {
    mlp: Mlp,
    norm: LayerNorm,
}

impl Auxiliary {
    fn load(p: &Params, from: usize, width: usize) -> Result<Self> {
        Ok(Self { mlp: mlp_sequence(p, from, width)?, norm: LayerNorm::load(&p.pp(3), width, EPS)? })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.mlp.forward(x, None)?)
    }
}

/// The Spatial Vision Aggregator.
pub struct Sva {
    descriptor: ConnectorDescriptor,
    dtype: DType,
    grid: Grid,
    auxiliaries: Vec<Auxiliary>,
    /// One query `[G, C]` per group, shared by all cells of the group's grid.
    query: Tensor,
    /// Query side and layers of each group.
    groups: Vec<(usize, Sampler)>,
    projector: Mlp,
    newline: Option<Tensor>,
    /// Inside the language model.
    refiners: Vec<Sampler>,
    loaded: Loaded,
}

impl Sva {
    /// Reads a connector.
    ///
    /// # Errors
    /// [`Error::Arch`] for numbers that contradict one another, [`Error::Weights`] for tensors that do not fit
    /// them.
    pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Self> {
        let arch = Arch::read(spec)?;
        let p = weights.params(LAYOUTS, device)?;
        let width = arch.vision_hidden_size;
        let windows = |q: usize| arch.sides().iter().map(|s| s / q).collect::<Vec<_>>();
        let auxiliaries = arch.inputs.iter().enumerate();
        let auxiliaries = auxiliaries
            .map(|(k, &from)| Auxiliary::load(&p.pp(format_args!("mm_projector_aux_{k}")), from, width))
            .collect::<Result<_>>()?;
        let groups = arch.query_num_list.iter().enumerate().map(|(j, n)| {
            let q = n.isqrt();
            let shape = Shape { queries: width, width, windows: &windows(q) };
            let p = p.pp(format_args!("vision_sampler_{j}"));
            Ok((q, Sampler::load(&p, &shape, arch.layer_type, arch.connector_depth)?))
        });
        let groups = groups.collect::<Result<Vec<_>>>()?;
        let inner = windows(arch.grid().h);
        let refine_after = arch.refine_after();
        let refiners = (0..refine_after.len()).map(|n| {
            let shape = Shape { queries: arch.output, width, windows: &inner };
            Sampler::load(&p.pp("vision_sampler_layers").pp(n), &shape, LayerType::Joint, 1)
        });
        let refiners = refiners.collect::<Result<_>>()?;
        let normal = |width: usize| Init::Normal { mean: 0.0, std: 1.0 / (width as f64).sqrt() };
        let query = p.get("vision_query", (groups.len(), width), normal(width))?;
        let newline = || p.get("image_newline", arch.output, normal(arch.output));
        let newline = arch.newline.then(newline).transpose()?;
        let projector = mlp_sequence(&p.pp("mm_projector"), groups.len() * width, arch.output)?;
        let loaded = p.finish()?;
        let inputs = arch.inputs.iter().zip(&arch.token_lens);
        let descriptor = ConnectorDescriptor {
            id: spec.id.clone(),
            inputs: inputs.map(|(&channels, &n)| ConnectorInput { channels, tokens: Some(n) }).collect(),
            output: arch.output,
            side: Some(arch.grid().h),
            attends: true,
            refine_after,
            parameters: loaded.parameters,
        };
        let (dtype, grid) = (weights.dtype(), arch.grid());
        Ok(Self { descriptor, dtype, grid, auxiliaries, query, groups, projector, newline, refiners, loaded })
    }

    /// Every encoder's tokens in width `C`: `[B, L_k, C]`.
    fn project(&self, inputs: &ConnectorInputs) -> Result<Vec<Tensor>> {
        inputs.check(&self.descriptor)?;
        let pairs = self.auxiliaries.iter().zip(&inputs.features);
        pairs.map(|(auxiliary, x)| auxiliary.forward(&to_dtype(x, self.dtype)?)).collect()
    }

    /// Queries of group `j` for `batch` images: `[B, q·q, C]`.
    fn queries(&self, j: usize, batch: usize) -> Result<Tensor> {
        let query = self.query.get(j)?.reshape((1, 1, ()))?;
        let side = self.groups[j].0;
        Ok(query.broadcast_as((batch, side * side, query.dim(2)?))?.contiguous()?)
    }

    /// What layers inside the language model look at when `cells` are refined, and the layers of that step.
    fn inside(&self, step: usize, cells: &Cells, fused: &Fused) -> Result<(&Sampler, Scene)> {
        let id = &self.descriptor.id;
        let sampler = self.refiners.get(step).ok_or_else(|| match self.refiners.len() {
            0 => Error::unsupported(id, "aggregation inside the language model"),
            n => Error::invalid(format!(
                "{id}: there is no step {step}, only {n} layers for the language model"
            )),
        })?;
        let size = *fused.image_sizes.get(cells.row).ok_or_else(|| {
            Error::invalid(format!("image {} of a batch of {}", cells.row, fused.image_sizes.len()))
        })?;
        let kept = unpad(self.grid, size);
        let expected = [kept.grid().cells(), self.descriptor.output];
        if cells.grid != kept.grid() || cells.hidden.dims() != expected {
            return Err(Error::invalid(format!(
                "{id}: image {} of {}×{} pixels has {} cells, hidden states {expected:?}; got {} and {:?}",
                cells.row,
                size.0,
                size.1,
                kept.grid(),
                cells.grid,
                cells.hidden.dims()
            )));
        }
        if fused.memory.len() != self.auxiliaries.len() {
            return Err(Error::invalid(format!("{id}: these tokens were not fused by this connector")));
        }
        let features = fused.memory.iter().map(|f| Ok(f.narrow(0, cells.row, 1)?));
        let scene = Scene::cut(&features.collect::<Result<Vec<_>>>()?, self.grid.h, &kept, size)?;
        Ok((sampler, scene))
    }

    /// Group `j`: tokens `[B, cells, C]` and shares `[B, cells]` on the final grid.
    fn group(&self, j: usize, features: &[Tensor], sizes: &[(u32, u32)]) -> Result<(Tensor, Vec<Tensor>)> {
        let (q, sampler) = &self.groups[j];
        let scene = Scene::whole(features, *q, sizes)?;
        let (tokens, shares) = sampler.forward(self.queries(j, sizes.len())?, &scene)?;
        let from = Grid::square(*q);
        if from == self.grid {
            return Ok((tokens, shares));
        }
        let resize = Separable::bilinear(from, self.grid);
        // Interpolation weights are positive and sum to 1, so shares still sum to 1.
        let shares = shares.iter().map(|s| Ok(resize.apply(&s.unsqueeze(2)?)?.squeeze(2)?));
        Ok((resize.apply(&tokens)?, shares.collect::<Result<_>>()?))
    }

    /// As [`Connector::forward`], on this thread's pool.
    fn fuse(&self, inputs: &ConnectorInputs) -> Result<Fused> {
        let features = self.project(inputs)?;
        let groups = (0..self.groups.len()).map(|j| self.group(j, &features, &inputs.image_sizes));
        let groups = groups.collect::<Result<Vec<_>>>()?;
        let tokens: Vec<&Tensor> = groups.iter().map(|(tokens, _)| tokens).collect();
        let tokens = self.projector.forward(&Tensor::cat(&tokens, 2)?, None)?;
        let share = |k: usize| {
            let of_groups: Vec<&Tensor> = groups.iter().map(|(_, shares)| &shares[k]).collect();
            Ok(Tensor::stack(&of_groups, 0)?.mean(0)?)
        };
        let attention = (0..features.len()).map(share).collect::<Result<_>>()?;
        Ok(Fused {
            tokens,
            grid: self.grid,
            attention,
            memory: if self.refiners.is_empty() { Vec::new() } else { features },
            image_sizes: inputs.image_sizes.clone(),
        })
    }
}

impl Connector for Sva {
    fn descriptor(&self) -> &ConnectorDescriptor {
        &self.descriptor
    }

    fn trainable(&self) -> Option<&dyn Trainable> {
        self.loaded.trainable()
    }

    /// An encoder's share of attention is the softmax mass on its keys (of separate layers: its weight in the sum),
    /// averaged over heads, layers and groups. Shares of groups with another grid are brought to the final one as
    /// their tokens are.
    fn forward(&self, inputs: &ConnectorInputs) -> Result<Fused> {
        pool::within(self.query.device(), || self.fuse(inputs))
    }

    fn block(&self, fused: &Fused, row: usize) -> Result<ImageBlock> {
        let block = ImageBlock::unpadded(fused, row)?;
        match &self.newline {
            Some(newline) => block.with_newline(newline),
            None => Ok(block),
        }
    }

    fn refine(&self, step: usize, cells: &Cells, fused: &Fused) -> Result<Tensor> {
        let (sampler, scene) = self.inside(step, cells, fused)?;
        let hidden = cells.hidden.to_dtype(self.dtype)?.unsqueeze(0)?;
        let (refined, _) = pool::within(hidden.device(), || sampler.forward(hidden.clone(), &scene))?;
        Ok(refined.squeeze(0)?.to_dtype(cells.hidden.dtype())?)
    }

    fn attention(&self, inputs: &ConnectorInputs) -> Result<Vec<LayerAttention>> {
        let features = self.project(inputs)?;
        let mut all = Vec::new();
        for (group, (side, sampler)) in self.groups.iter().enumerate() {
            let scene = Scene::whole(&features, *side, &inputs.image_sizes)?;
            let queries = self.queries(group, inputs.image_sizes.len())?;
            let (_, layers) = sampler.by_layer(queries, &scene)?;
            let grid = Grid::square(*side);
            let of_layer = |(layer, shares)| LayerAttention { group, layer, grid, shares };
            all.extend(layers.into_iter().enumerate().map(of_layer));
        }
        Ok(all)
    }

    fn refine_attention(&self, step: usize, cells: &Cells, fused: &Fused) -> Result<Vec<Tensor>> {
        let (sampler, scene) = self.inside(step, cells, fused)?;
        let (_, shares) = sampler.forward(cells.hidden.to_dtype(self.dtype)?.unsqueeze(0)?, &scene)?;
        shares.iter().map(|share| Ok(share.squeeze(0)?)).collect()
    }
}
