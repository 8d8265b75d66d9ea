//! A graph behind the encoder trait.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use zoo_core::{
    Cost, Encoder, EncoderDescriptor, Error, FeatureMap, FeatureRequest, Grid, LayerInfo, Result, Spec, step,
};

use crate::config::{Config, Layout, Output};
use crate::graph::{Graph, Seen};

pub(crate) struct OnnxEncoder {
    config: Config,
    descriptor: EncoderDescriptor,
    dtype: DType,
    /// None while nothing is to be computed.
    graph: Option<Graph>,
}

impl OnnxEncoder {
    /// Opens the graph of a row; without a file it can only be described.
    pub(crate) fn open(spec: &Spec, config: Config, file: Option<&Path>) -> Result<Self> {
        let graph = file.map(|file| Graph::open(file, &config)).transpose()?;
        let native = config.image_size;
        if let Some((graph, (height, width))) = graph.as_ref().and_then(|graph| Some((graph, graph.fixed()?)))
        {
            if (height, width) != (native, native) {
                return Err(graph.fault(format!(
                    "the graph takes images of {height}×{width} pixels, and `image_size` is {native}"
                )));
            }
            if let Some(multiple) = config.multiple_of {
                return Err(graph.fault(format!(
                    "the graph takes images of {height}×{width} pixels only: without `multiple_of` = {multiple}, or \
                     exported with free height and width"
                )));
            }
        }
        let layer = |output: &Output| LayerInfo { channels: output.channels, stride: output.stride };
        let descriptor = EncoderDescriptor {
            id: spec.id.clone(),
            layers: config.outputs.iter().map(layer).collect(),
            prefix: config.prefix.clone(),
            final_norm: false,
            native,
            resolution: config.resolution(),
            // Those of the row: a description must not change when the file is there.
            parameters: config.parameters,
            vjp: false,
            options: Vec::new(),
        };
        if let Some(graph) =
            graph.as_ref().filter(|graph| config.parameters != 0 && graph.parameters() != config.parameters)
        {
            return Err(graph.fault(format!(
                "the graph has {} parameters, and `parameters` is {}",
                graph.parameters(),
                config.parameters
            )));
        }
        Ok(Self { config, descriptor, dtype: spec.precision.dtype(), graph })
    }

    /// An output of one image, as the row promises it: `[P + h · w, C]`.
    fn tokens(&self, graph: &Graph, seen: Seen, layer: usize, grid: Grid) -> Result<Tensor> {
        let output = &self.config.outputs[layer];
        let (Grid { h, w }, c, prefix) = (grid, output.channels, self.config.prefix.len());
        let wanted = match output.layout {
            Layout::Nchw => vec![1, c, h, w],
            Layout::Nhwc => vec![1, h, w, c],
            Layout::Tokens => vec![1, prefix + grid.cells(), c],
        };
        if seen.shape != wanted {
            return Err(graph.fault(format!(
                "output `{}` is {:?}; by `layout`, `channels` and `stride` of the row it should be {wanted:?}",
                output.name, seen.shape
            )));
        }
        let tensor = Tensor::from_vec(seen.numbers, wanted, &Device::Cpu)?;
        Ok(match output.layout {
            Layout::Nchw => tensor.reshape((c, h * w))?.t()?.contiguous()?,
            Layout::Nhwc | Layout::Tokens => tensor.reshape(((), c))?,
        })
    }
}

impl Encoder for OnnxEncoder {
    fn descriptor(&self) -> &EncoderDescriptor {
        &self.descriptor
    }

    fn forward(&self, pixels: &Tensor, request: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        let said = &self.descriptor;
        let layers = request.layers.resolve(said.layers.len())?;
        let (batch, height, width) = match *pixels.dims() {
            [batch, 3, height, width] if pixels.dtype().is_float() => (batch, height, width),
            ref dims => {
                let dtype = pixels.dtype();
                return Err(Error::invalid(format!(
                    "{}: pixels must be normalised floats [B, 3, H, W], got {dtype:?} {dims:?}",
                    said.id
                )));
            }
        };
        let grids =
            layers.iter().map(|&layer| said.grid(layer, height, width)).collect::<Result<Vec<_>>>()?;
        let graph = self.graph.as_ref();
        let graph = graph.ok_or_else(|| Error::Internal("a graph that was only described was run".into()))?;
        // A graph gives an output once, whoever asks twice.
        let mut places = layers.clone();
        places.sort_unstable();
        places.dedup();
        let mut images: Vec<Vec<Tensor>> = vec![Vec::with_capacity(batch); layers.len()];
        for image in 0..batch {
            step(image, batch)?;
            let pixels = pixels.get(image)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            let seen = graph.run(&pixels, (height, width), &places)?;
            for (place, seen) in places.iter().zip(seen) {
                let Some(first) = layers.iter().position(|layer| layer == place) else { continue };
                let tokens = self.tokens(graph, seen, *place, grids[first])?.to_dtype(self.dtype)?;
                let slots = images.iter_mut().zip(&layers).filter(|(_, layer)| *layer == place);
                slots.for_each(|(slot, _)| slot.push(tokens.clone()));
            }
        }
        let prefix = said.prefix.len();
        let map = |(i, images): (usize, Vec<Tensor>)| -> Result<FeatureMap> {
            let (layer, grid) = (layers[i], grids[i]);
            let all = match images.as_slice() {
                [] => Tensor::zeros(
                    (0, prefix + grid.cells(), said.layers[layer].channels),
                    self.dtype,
                    &Device::Cpu,
                )?,
                images => Tensor::stack(images, 0)?,
            };
            Ok(FeatureMap {
                tokens: all.narrow(1, prefix, grid.cells())?.contiguous()?,
                prefix: (request.prefix && prefix > 0)
                    .then(|| all.narrow(1, 0, prefix)?.contiguous())
                    .transpose()?,
                grid,
                layer,
                normed: false,
            })
        };
        images.into_iter().enumerate().map(map).collect()
    }

    /// What the row knows, in proportion to the pixels.
    fn cost(&self, batch: usize, height: usize, width: usize) -> Cost {
        let native = (self.config.image_size * self.config.image_size) as f64;
        let pixels = (height * width) as f64;
        let macs = self.config.gmacs * 1e9 * pixels / native * batch as f64;
        // Of the finest map that is asked for, and as many channels as the widest: nobody knows what is between.
        let widest = self.config.outputs.iter().map(|output| output.channels).max().unwrap_or(0);
        Cost { macs: macs as u64, activation_bytes: (height * width / 4 * widest.min(256) * 4) as u64 }
    }
}
