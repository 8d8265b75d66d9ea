//! The encoder that learns, with its pixel pipeline and its choice of outputs.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use zoo_core::weights::Weights;
use zoo_core::{Differentiable, Encoder, FeatureRequest, Grid, Layers, Preprocess, Spec, Trainable};
use zoo_nn::resample;
use zoo_preprocess::{Picture, prepare_batch};
use zoo_registry::{EncoderRow, Selection};

use crate::{Error, PLUGINS, Result};

/// What an encoder sees of some pictures.
#[derive(Debug, Clone)]
pub struct Features {
    /// `[B, N, C]`, row-major on `grid`.
    pub tokens: Tensor,
    /// Where they stand.
    pub grid: Grid,
}

/// What it saw as leaves of a graph, and what follows from them.
pub(crate) struct Glance {
    maps: Vec<Var>,
    pub features: Features,
}

/// An encoder, its pixels and its outputs as its row has them.
pub struct Eye {
    encoder: Box<dyn Encoder>,
    request: FeatureRequest,
    preprocess: Preprocess,
    tokens: Option<usize>,
    names: Vec<String>,
}

impl Eye {
    /// Opens the encoder of a row; trainable where `weights` are.
    ///
    /// # Errors
    /// [`Error::Core`] for a plugin that is not among [`PLUGINS`], and whatever it says.
    pub fn open(row: &EncoderRow, weights: &Weights) -> Result<Self> {
        let selection = Selection::of(row);
        let found = PLUGINS.iter().find(|plugin| plugin.name == row.plugin);
        let plugin = found.ok_or_else(|| {
            let names: Vec<&str> = PLUGINS.iter().map(|plugin| plugin.name).collect();
            let message =
                format!("{}: plugin `{}` is not one of those that are brought up here: ", row.id, row.plugin);
            zoo_core::Error::invalid(message + &names.join(", "))
        })?;
        let spec = Spec {
            id: row.id.clone(),
            architecture: row.architecture.clone(),
            arch: row.arch.clone(),
            precision: zoo_core::Precision::F32,
        };
        let encoder = plugin.open_encoder(&spec, weights, &Device::Cpu)?;
        let names = encoder.differentiable().map(Differentiable::parameter_names).unwrap_or_default();
        let request = FeatureRequest {
            layers: Layers::Indices(selection.layers.clone()),
            norm: selection.norm,
            prefix: false,
        };
        Ok(Self { encoder, request, preprocess: selection.preprocess(), tokens: selection.tokens, names })
    }

    /// Normalised pixels `[B, 3, side, side]` of pictures.
    ///
    /// # Errors
    /// [`Error::Picture`].
    pub fn pixels(&self, pictures: &[impl Picture]) -> Result<Tensor> {
        Ok(prepare_batch(pictures, &self.preprocess)?.to_tensor(&Device::Cpu)?)
    }

    /// Side of a picture in pixels.
    pub fn side(&self) -> u32 {
        self.preprocess.size
    }

    /// The colour of what a picture lacks of a square.
    pub fn pad(&self) -> [u8; 3] {
        self.preprocess.pad
    }

    /// What is seen; several layers stand on one grid, side by side on channels.
    ///
    /// # Errors
    /// The encoder's.
    pub fn look(&self, pixels: &Tensor) -> Result<Features> {
        let maps = self.encoder.forward(pixels, &self.request)?;
        let parts: Vec<(&Tensor, Grid)> = maps.iter().map(|map| (&map.tokens, map.grid)).collect();
        self.joined(&parts)
    }

    /// The same, for a gradient.
    pub(crate) fn glance(&self, pixels: &Tensor) -> Result<Glance> {
        let maps = self.encoder.forward(pixels, &self.request)?;
        let leaves = maps.iter().map(|map| Var::from_tensor(&map.tokens)).collect::<Result<Vec<_>, _>>()?;
        let parts: Vec<(&Tensor, Grid)> =
            leaves.iter().zip(&maps).map(|(leaf, map)| (leaf.as_tensor(), map.grid)).collect();
        let features = self.joined(&parts)?;
        Ok(Glance { maps: leaves, features })
    }

    fn joined(&self, parts: &[(&Tensor, Grid)]) -> Result<Features> {
        let last = parts.last().ok_or_else(|| Error::Internal("an encoder gave no feature map".into()))?;
        let grid = self.tokens.map_or(Ok(last.1), Grid::of_tokens)?;
        Ok(Features { tokens: resample::joined(parts, grid)?, grid })
    }

    /// The gradients of its weights, by published key, that follow from those of what was seen.
    pub(crate) fn gradients(
        &self,
        pixels: &Tensor,
        glance: &Glance,
        found: &GradStore,
    ) -> Result<Vec<(&str, Tensor)>> {
        let cotangent = |map: &Var| match found.get(map.as_tensor()) {
            Some(gradient) => Ok(gradient.clone()),
            None => map.as_tensor().zeros_like(),
        };
        let cotangents = glance.maps.iter().map(cotangent).collect::<Result<Vec<_>, candle_core::Error>>()?;
        let (_, own) = self.door()?.vjp(pixels, &self.request, &cotangents, &self.names)?;
        Ok(self.names.iter().map(String::as_str).zip(own).collect())
    }

    fn door(&self) -> Result<&dyn Differentiable> {
        let id = &self.encoder.descriptor().id;
        let door = self.encoder.differentiable();
        door.ok_or_else(|| Error::Internal(format!("`{id}` is to learn, and has no gradients")))
    }

    /// All of its weights by published key.
    pub(crate) fn values(&self) -> Result<BTreeMap<String, Tensor>> {
        let door = self.door()?;
        self.names
            .iter()
            .map(|name| Ok((name.clone(), door.parameter(name)?.to_dtype(DType::F32)?)))
            .collect()
    }

    /// Takes new values of them.
    pub(crate) fn replace(&self, values: &BTreeMap<String, Tensor>) -> Result<()> {
        let id = &self.encoder.descriptor().id;
        let own = self.encoder.trainable().map(Trainable::variables);
        let own = own.ok_or_else(|| Error::Internal(format!("`{id}` was not opened to learn")))?;
        let values = values.iter().filter(|(key, _)| own.contains_key(*key));
        let values = values.map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Some(door) = self.encoder.trainable() {
            door.replace(&values)?;
        }
        Ok(())
    }
}
