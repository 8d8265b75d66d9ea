//! Patches, one matrix per layer, tanh: enough to have layers, a prefix token, a norm and gradients.

use std::sync::RwLock;

use candle_core::{D, Device, Tensor, Var};
use serde::Deserialize;
use zoo_core::weights::{Init, Layout, TensorSource, Weights};
use zoo_core::{
    CallContext, Cost, Differentiable, Encoder, EncoderDescriptor, Error, FeatureMap, FeatureRequest,
    LayerInfo, PrefixToken, Resolution, Result, Spec,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arch {
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    image_size: usize,
}

const LAYOUT: Layout = Layout {
    name: "toy",
    prefixes: &[""],
    marker: "embed",
    map: |name| TensorSource::Key(name.to_owned()),
    ignored: &[],
};

struct Patches {
    descriptor: EncoderDescriptor,
    patch: usize,
    /// `embed` `[3·p², C]`, `cls` `[C]`, then one `[C, C]` per layer.
    parameters: RwLock<Vec<(String, Tensor)>>,
}

pub fn load(spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
    let arch: Arch = spec.arch()?;
    let params = weights.params(&[LAYOUT], device)?;
    let (c, p) = (arch.embed_dim, arch.patch_size);
    let mut parameters = vec![
        ("embed".to_owned(), params.get("embed", (3 * p * p, c), Init::fan_in(3 * p * p))?),
        ("cls".to_owned(), params.get("cls", c, Init::Normal { mean: 0.0, std: 0.1 })?),
    ];
    for layer in 0..arch.depth {
        let name = format!("layers.{layer}");
        let tensor = params.get(&name, (c, c), Init::fan_in(c))?;
        parameters.push((name, tensor));
    }
    let loaded = params.finish()?;
    Ok(Box::new(Patches {
        descriptor: EncoderDescriptor {
            id: spec.id.clone(),
            layers: vec![LayerInfo { channels: c, stride: p }; arch.depth],
            prefix: vec![PrefixToken::Cls],
            final_norm: true,
            native: arch.image_size,
            resolution: Resolution::MultipleOf(p),
            parameters: loaded.parameters,
            vjp: true,
            options: Vec::new(),
        },
        patch: p,
        parameters: RwLock::new(parameters),
    }))
}

impl Patches {
    fn parameters(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(self.parameters.read().map_err(|_| Error::Internal("poisoned".into()))?.clone())
    }

    fn run(
        &self,
        pixels: &Tensor,
        request: &FeatureRequest,
        parameters: &[Tensor],
    ) -> Result<Vec<FeatureMap>> {
        let (b, _, h, w) = pixels.dims4()?;
        let p = self.patch;
        let wanted = request.layers.resolve(self.descriptor.layers.len())?;
        let grid = self.descriptor.grid(0, h, w)?;
        let patches = pixels
            .reshape((b, 3, grid.h, p, grid.w, p))?
            .permute((0, 2, 4, 1, 3, 5))?
            .reshape((b * grid.cells(), 3 * p * p))?;
        let c = parameters[0].dim(1)?;
        let x = patches.matmul(&parameters[0])?.reshape((b, grid.cells(), c))?;
        let cls = parameters[1].reshape((1, 1, c))?.broadcast_as((b, 1, c))?;
        let mut x = Tensor::cat(&[&cls, &x], 1)?;
        let mut seen = Vec::new();
        let (layers, context) = (parameters.len() - 2, CallContext::current());
        // As stochastic depth does, a seed leaves a layer out.
        let dropped = context.seed().checked_rem(layers as u64).filter(|_| context.seed() != 0);
        for (layer, weight) in parameters[2..].iter().enumerate() {
            context.step(layer, layers)?;
            if dropped == Some(layer as u64) {
                seen.push(x.clone());
                continue;
            }
            x = (&x + x.broadcast_matmul(weight)?.tanh()?)?;
            seen.push(x.clone());
        }
        wanted
            .into_iter()
            .map(|layer| {
                let mut x = seen[layer].clone();
                if request.norm {
                    x = x.broadcast_div(&(x.sqr()?.mean_keepdim(D::Minus1)? + 1e-6)?.sqrt()?)?;
                }
                Ok(FeatureMap {
                    tokens: x.narrow(1, 1, grid.cells())?,
                    prefix: if request.prefix { Some(x.narrow(1, 0, 1)?) } else { None },
                    grid,
                    layer,
                    normed: request.norm,
                })
            })
            .collect()
    }
}

impl Encoder for Patches {
    fn descriptor(&self) -> &EncoderDescriptor {
        &self.descriptor
    }

    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        let parameters: Vec<_> = self.parameters()?.into_iter().map(|(_, t)| t).collect();
        self.run(pixels, request, &parameters)
    }

    fn cost(&self, batch: usize, height: usize, width: usize) -> Cost {
        let cells = (height / self.patch * (width / self.patch)) as u64;
        let c = self.descriptor.layers.first().map_or(0, |l| l.channels) as u64;
        let embed = 3 * (self.patch * self.patch) as u64 * c;
        let per_cell = embed + c * c * self.descriptor.layers.len() as u64;
        Cost { macs: batch as u64 * cells * per_cell, activation_bytes: batch as u64 * cells * c * 8 }
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl Differentiable for Patches {
    fn parameter_names(&self) -> Vec<String> {
        self.parameters().unwrap_or_default().into_iter().map(|(name, _)| name).collect()
    }

    fn parameter(&self, name: &str) -> Result<Tensor> {
        let found = self.parameters()?.into_iter().find(|(n, _)| n == name);
        found.map(|(_, t)| t).ok_or_else(|| Error::invalid(format!("there is no parameter `{name}`")))
    }

    fn set_parameter(&self, name: &str, value: &Tensor) -> Result<()> {
        let mut parameters = self.parameters.write().map_err(|_| Error::Internal("poisoned".into()))?;
        let Some((_, tensor)) = parameters.iter_mut().find(|(n, _)| n == name) else {
            return Err(Error::invalid(format!("there is no parameter `{name}`")));
        };
        if tensor.dims() != value.dims() || tensor.dtype() != value.dtype() {
            return Err(Error::invalid(format!(
                "parameter `{name}` is {:?} {:?}, not {:?} {:?}",
                tensor.dtype(),
                tensor.dims(),
                value.dtype(),
                value.dims()
            )));
        }
        *tensor = value.clone();
        Ok(())
    }

    fn vjp(
        &self,
        pixels: &Tensor,
        request: &FeatureRequest,
        cotangents: &[Tensor],
        parameters: &[String],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let pixels = Var::from_tensor(pixels)?;
        let mut vars = Vec::new();
        for (name, tensor) in self.parameters()? {
            vars.push((name, Var::from_tensor(&tensor)?));
        }
        let tensors: Vec<_> = vars.iter().map(|(_, v)| v.as_tensor().clone()).collect();
        let maps = self.run(pixels.as_tensor(), request, &tensors)?;
        if maps.len() != cotangents.len() {
            return Err(Error::invalid(format!("{} maps, {} cotangents", maps.len(), cotangents.len())));
        }
        let mut sum = Tensor::zeros((), pixels.dtype(), pixels.device())?;
        for (map, cotangent) in maps.iter().zip(cotangents) {
            sum = (sum + (&map.tokens * cotangent)?.sum_all()?)?;
        }
        let gradients = sum.backward()?;
        let of =
            |var: &Var| gradients.get(var).cloned().map_or_else(|| Ok(var.zeros_like()?), Ok::<_, Error>);
        let wanted = parameters.iter().map(|name| {
            let found = vars.iter().find(|(n, _)| n == name);
            of(&found.ok_or_else(|| Error::invalid(format!("there is no parameter `{name}`")))?.1)
        });
        Ok((of(&pixels)?, wanted.collect::<Result<_>>()?))
    }
}
