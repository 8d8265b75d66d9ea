//! Several encoders and a connector, ready to look at the same images.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use zoo_core::{Connector, ConnectorDescriptor, ConnectorInputs, Fused};
use zoo_preprocess::{DecodeOptions, Decoded};

use crate::encoder::{Encoded, EncoderSession};
use crate::{HostError, finite};

/// What is wanted of an ensemble; whatever is absent is as in the registry.
#[derive(Debug, Clone, Default)]
pub struct EnsembleRequest {
    /// A folder with weights that replace those of the rows: `<encoder id>.safetensors` or a folder of that name
    /// for a member, `<connector id>…` for the connector. What is not there stays as in the row.
    pub weights: Option<PathBuf>,
    /// Leave the connector out, and with it its weights: features of the members only.
    pub features_only: bool,
}

/// An opened ensemble.
pub struct EnsembleSession {
    id: String,
    members: Vec<EncoderSession>,
    connector: Option<OpenConnector>,
}

pub(crate) struct OpenConnector {
    pub connector: Box<dyn Connector>,
    pub dtype: DType,
    pub device: Device,
    pub untrained: bool,
}

/// What an ensemble saw.
#[derive(Debug, Clone)]
pub struct EnsembleOutput {
    /// One per member, in order.
    pub members: Vec<Encoded>,
    /// Tokens f32 `[B, T, H]` and attention f32 `[B, T]` per member on the CPU, where there is a connector.
    pub fused: Option<Fused>,
}

impl EnsembleSession {
    pub(crate) fn new(
        id: String,
        mut members: Vec<EncoderSession>,
        connector: Option<OpenConnector>,
    ) -> Self {
        let mut times = HashMap::new();
        for member in &mut members {
            let count = times.entry(member.id().to_owned()).or_insert(0);
            *count += 1;
            if *count > 1 {
                member.label = format!("{}-{count}", member.id());
            }
        }
        Self { id, members, connector }
    }

    /// Registry id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The encoders, in order.
    pub fn members(&self) -> &[EncoderSession] {
        &self.members
    }

    /// The connector.
    pub fn connector(&self) -> Option<&dyn Connector> {
        self.connector.as_ref().map(|c| c.connector.as_ref())
    }

    /// What the connector says of itself.
    pub fn connector_descriptor(&self) -> Option<&ConnectorDescriptor> {
        self.connector().map(Connector::descriptor)
    }

    /// Whether any part has weights from a seed and not from training.
    pub fn untrained(&self) -> bool {
        self.members.iter().any(EncoderSession::untrained)
            || self.connector.as_ref().is_some_and(|c| c.untrained)
    }

    /// How to decode the images that it will look at: in full, or with [`crate::Options::fast_resize`] as small as
    /// serves every member.
    pub fn decode_options(&self) -> DecodeOptions {
        let reduce_for = self.members.iter().filter_map(|m| m.decode_options().reduce_for).max();
        DecodeOptions { reduce_for, ..DecodeOptions::default() }
    }

    /// Looks at images with every member, then fuses. `progress` is told the id of each part before it runs.
    ///
    /// # Errors
    /// [`HostError`] of the first part that fails.
    pub fn encode(&self, images: &[Decoded], progress: &dyn Fn(&str)) -> Result<EnsembleOutput, HostError> {
        let members = self
            .members
            .iter()
            .map(|member| {
                progress(member.id());
                member.encode(&member.prepare(images)?)
            })
            .collect::<Result<Vec<_>, HostError>>()?;
        if let Some(connector) = self.connector() {
            progress(&connector.descriptor().id);
        }
        let fused = self.fuse(&members, images.iter().map(|d| d.size).collect())?;
        Ok(EnsembleOutput { members, fused })
    }

    /// Fuses what the members saw, in order, of images of these sizes, (width, height) in pixels. None without a
    /// connector.
    ///
    /// # Errors
    /// [`HostError::Core`] for other features than the connector takes, and for what it reports; [`HostError::NotFinite`]
    /// for tokens that hold NaN or infinity.
    pub fn fuse(
        &self,
        members: &[Encoded],
        image_sizes: Vec<(u32, u32)>,
    ) -> Result<Option<Fused>, HostError> {
        let Some(open) = &self.connector else { return Ok(None) };
        let features = members.iter().map(|m| &m.tokens);
        let inputs = connector_inputs(features, image_sizes, open.dtype, &open.device)?;
        let mut fused = open.connector.forward(&inputs)?;
        fused.tokens = fused.tokens.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        for share in &mut fused.attention {
            *share = share.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        }
        let id = &open.connector.descriptor().id;
        finite::check(|| format!("the tokens of `{id}`"), &fused.tokens)?;
        Ok(Some(fused))
    }
}

/// Features `[B, N, C]` of each member, in order, as a connector of this element type and device takes them.
pub(crate) fn connector_inputs<'a>(
    features: impl IntoIterator<Item = &'a Tensor>,
    image_sizes: Vec<(u32, u32)>,
    dtype: DType,
    device: &Device,
) -> zoo_core::Result<ConnectorInputs> {
    let moved = |f: &Tensor| Ok(zoo_nn::cast::to_dtype(f, dtype)?.to_device(device)?);
    let features = features.into_iter().map(moved).collect::<zoo_core::Result<_>>()?;
    Ok(ConnectorInputs { features, image_sizes })
}
