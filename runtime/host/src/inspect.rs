//! What an object is, before any weights are there: what `zoo info` and `zoo check` print.

use serde::Serialize;
use zoo_core::weights::TensorInfo;
use zoo_core::{ConnectorDescriptor, Cost, EmbeddingInfo, EncoderDescriptor, Grid, Spec};

use crate::HostError;
use crate::encoder::EncoderPlan;
use crate::plugins::{ObjectKind, PluginDoor};

/// An encoder at one resolution.
#[derive(Debug, Clone, Serialize)]
pub struct EncoderInspection {
    /// What the plugin says of it.
    pub descriptor: EncoderDescriptor,
    /// The tensors that a checkpoint in the plugin's first layout holds.
    pub tensors: Vec<TensorInfo>,
    /// Side of the image in pixels.
    pub resolution: usize,
    /// Chosen layers, their grids and channels.
    pub layers: Vec<(usize, Grid, usize)>,
    /// Grid after resampling.
    pub grid: Grid,
    /// Channels of the feature map.
    pub channels: usize,
    /// One image through all layers.
    pub cost: Cost,
    /// The one vector that it makes of an image, where it makes one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingInfo>,
}

/// A connector.
#[derive(Debug, Clone, Serialize)]
pub struct ConnectorInspection {
    /// What the plugin says of it.
    pub descriptor: ConnectorDescriptor,
    /// The tensors that a checkpoint in the plugin's first layout holds.
    pub tensors: Vec<TensorInfo>,
}

/// An ensemble; a part that cannot be inspected carries the reason.
pub struct EnsembleInspection {
    /// Registry id.
    pub id: String,
    /// The encoders, in order.
    pub members: Vec<Result<EncoderInspection, HostError>>,
    /// The connector, if there is one.
    pub connector: Option<Result<ConnectorInspection, HostError>>,
}

impl EncoderInspection {
    pub(crate) fn new(door: &PluginDoor, spec: &Spec, plan: &EncoderPlan) -> Result<Self, HostError> {
        let side = plan.preprocess.size as usize;
        let found = door.inspect_at(ObjectKind::Encoder, spec, [1, side, side])?;
        let descriptor: EncoderDescriptor = found.descriptor()?;
        let chosen = zoo_core::Layers::Indices(plan.layers.clone()).resolve(descriptor.layers.len())?;
        let layers = chosen
            .into_iter()
            .map(|layer| Ok((layer, descriptor.grid(layer, side, side)?, descriptor.layers[layer].channels)))
            .collect::<Result<Vec<_>, HostError>>()?;
        let native = layers.last().map_or(Grid::square(0), |(_, grid, _)| *grid);
        Ok(Self {
            resolution: side,
            grid: plan.tokens.map_or(Ok(native), Grid::of_tokens)?,
            channels: layers.iter().map(|(_, _, channels)| channels).sum(),
            layers,
            cost: found.cost,
            embedding: found.embedding,
            tensors: found.tensors,
            descriptor,
        })
    }
}

impl ConnectorInspection {
    pub(crate) fn new(door: &PluginDoor, spec: &Spec) -> Result<Self, HostError> {
        let found = door.inspect(ObjectKind::Connector, spec)?;
        Ok(Self { descriptor: found.descriptor()?, tensors: found.tensors })
    }
}
