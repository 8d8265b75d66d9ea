//! What looks at images: encoders in their order, and the connector that joins what they see.
//!
//! **The one decision.** An encoder by itself, an ensemble of the registry and the eyes of a model are one thing, which
//! is opened once and looks in one way. It keeps nothing between two looks. Whoever wants to end a look enters a
//! [`zoo_core::CallContext`] that says so.

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use zoo_core::{Connector, ConnectorDescriptor, ConnectorInputs, Fused};
use zoo_preprocess::{DecodeOptions, Decoded};

use crate::encoder::{Encoded, EncoderRequest, EncoderSession};
use crate::model::{ModelProgress, Phase};
use crate::{HostError, Zoo, finite};

/// What is to be opened.
#[derive(Debug, Clone)]
pub enum EyesRequest {
    /// One encoder.
    Encoder(EncoderRequest),
    /// An ensemble of the registry.
    Ensemble(EnsembleRequest),
}

/// What is wanted of an ensemble; whatever is absent is as in the registry.
#[derive(Debug, Clone, Default)]
pub struct EnsembleRequest {
    /// Id.
    pub id: String,
    /// A folder with weights that replace those of the rows: `<encoder id>.safetensors` or a folder of that name
    /// for a member, `<connector id>…` for the connector. What is not there stays as in the row.
    pub weights: Option<PathBuf>,
    /// Leave the connector out, and with it its weights: features of the members only.
    pub features_only: bool,
}

impl EnsembleRequest {
    /// The ensemble of this name as its row has it.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }
}

impl EyesRequest {
    /// Weights that replace those of the rows.
    pub fn weights(&self) -> Option<&PathBuf> {
        match self {
            Self::Encoder(request) => request.weights.as_ref(),
            Self::Ensemble(request) => request.weights.as_ref(),
        }
    }
}

/// Encoders that look at the same images, and maybe a connector.
pub struct Eyes {
    id: String,
    /// Whether it is one encoder that was asked for by itself.
    alone: bool,
    members: Vec<EncoderSession>,
    connector: Option<Box<dyn Connector>>,
    /// Whether the connector's weights come from a seed.
    untrained: bool,
    dtype: DType,
    device: Device,
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// One per encoder, in order.
    pub members: Vec<Encoded>,
    /// Tokens f32 `[B, T, H]` and attention f32 `[B, T]` per encoder on the CPU, where there is a connector.
    pub fused: Option<Fused>,
}

impl Eyes {
    /// Encoders in their order, which are told apart by numbers where one looks twice.
    pub(crate) fn new(id: String, mut members: Vec<EncoderSession>, zoo: &Zoo) -> Self {
        let mut times = HashMap::new();
        for member in &mut members {
            let count = times.entry(member.id().to_owned()).or_insert(0);
            *count += 1;
            if *count > 1 {
                member.label = format!("{}-{count}", member.id());
            }
        }
        let (dtype, device) = (zoo.precision().dtype(), zoo.device().clone());
        Self { id, alone: false, members, connector: None, untrained: false, dtype, device }
    }

    /// One encoder by itself.
    pub(crate) fn one(encoder: EncoderSession, zoo: &Zoo) -> Self {
        Self { alone: true, ..Self::new(encoder.id().to_owned(), vec![encoder], zoo) }
    }

    /// The same with a connector, whose weights may be `untrained`: from a seed.
    #[must_use]
    pub fn with_connector(self, connector: Box<dyn Connector>, untrained: bool) -> Self {
        Self { connector: Some(connector), untrained, ..self }
    }

    /// The same encoders, open to stay, without a connector. `progress` is told which one is opened.
    pub(crate) fn opened(&self, progress: &dyn ModelProgress) -> Result<Self, HostError> {
        let open = |member: &EncoderSession| {
            zoo_core::wanted()?;
            progress.part(member.id());
            member.opened(false)
        };
        Ok(Self {
            id: self.id.clone(),
            alone: self.alone,
            members: self.members.iter().map(open).collect::<Result<_, HostError>>()?,
            connector: None,
            untrained: false,
            dtype: self.dtype,
            device: self.device.clone(),
        })
    }

    /// The encoders.
    pub(crate) fn into_members(self) -> Vec<EncoderSession> {
        self.members
    }

    /// Registry id of the encoder or ensemble, name of the model.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The encoders, in order.
    pub fn members(&self) -> &[EncoderSession] {
        &self.members
    }

    /// The encoder, where one was asked for by itself; none for an ensemble, whatever it holds.
    pub fn alone(&self) -> Option<&EncoderSession> {
        self.members.first().filter(|_| self.alone)
    }

    /// The connector.
    pub fn connector(&self) -> Option<&dyn Connector> {
        self.connector.as_deref()
    }

    /// What the connector says of itself.
    pub fn connector_descriptor(&self) -> Option<&ConnectorDescriptor> {
        self.connector().map(Connector::descriptor)
    }

    /// Whether any part has weights from a seed and not from training.
    pub fn untrained(&self) -> bool {
        self.untrained || self.members.iter().any(EncoderSession::untrained)
    }

    /// How to decode the images that it will look at: in full, or with [`crate::Options::fast_resize`] as small as
    /// serves every member.
    pub fn decode_options(&self) -> DecodeOptions {
        let reduce_for = self.members.iter().filter_map(|m| m.decode_options().reduce_for).max();
        DecodeOptions { reduce_for, ..DecodeOptions::default() }
    }

    /// What every encoder sees of `images`, `at_once` of them in one pass. `progress` is told which one looks.
    ///
    /// # Errors
    /// [`HostError`] of the first part that fails; [`zoo_core::Error::Cancelled`] when the context of the call says so.
    pub fn see(
        &self,
        images: &[Decoded],
        at_once: usize,
        progress: &dyn ModelProgress,
    ) -> Result<Vec<Encoded>, HostError> {
        let one = |member: &EncoderSession| {
            progress.part(member.id());
            member.see(images, at_once)
        };
        self.members.iter().map(one).collect()
    }

    /// What the connector takes: features `[B, N, C]` of each encoder, in order, of images of these sizes, (width, height)
    /// in pixels.
    ///
    /// # Errors
    /// [`HostError::Core`] when the device is full.
    pub fn inputs<'a>(
        &self,
        features: impl IntoIterator<Item = &'a Tensor>,
        image_sizes: Vec<(u32, u32)>,
    ) -> Result<ConnectorInputs, HostError> {
        let moved = |f: &Tensor| {
            let cast = zoo_nn::cast::to_dtype(f, self.dtype)?;
            Ok(cast.to_device(&self.device)?)
        };
        let features = features.into_iter().map(moved).collect::<Result<_, HostError>>()?;
        Ok(ConnectorInputs { features, image_sizes })
    }

    /// Fuses what the encoders saw, as [`Eyes::inputs`] takes it, where the connector computes. None without a connector.
    ///
    /// # Errors
    /// [`HostError::Core`] for other features than the connector takes, and for what it reports.
    pub fn fuse<'a>(
        &self,
        features: impl IntoIterator<Item = &'a Tensor>,
        image_sizes: Vec<(u32, u32)>,
    ) -> Result<Option<Fused>, HostError> {
        let Some(connector) = &self.connector else { return Ok(None) };
        Ok(Some(connector.forward(&self.inputs(features, image_sizes)?)?))
    }

    /// Looks at images with every encoder, then fuses; what comes out is on the CPU. `progress` is told the id of each part
    /// before it runs.
    ///
    /// # Errors
    /// As [`Eyes::see`] and [`Eyes::fuse`]; [`HostError::NotFinite`] for tokens that hold NaN or infinity.
    pub fn look(&self, images: &[Decoded], progress: &dyn ModelProgress) -> Result<Seen, HostError> {
        let parts = self.members.len() + usize::from(self.connector.is_some());
        progress.begins(Phase::Look, parts);
        let seen = self.see(images, images.len(), progress).and_then(|members| {
            let sizes = images.iter().map(|image| image.size).collect();
            let fused = self.fused(&members, sizes, progress)?;
            Ok(Seen { members, fused })
        });
        progress.ends();
        seen
    }

    /// The last part of [`Eyes::look`]: what the connector makes of `members`.
    ///
    /// # Errors
    /// As [`Eyes::look`].
    pub fn fused(
        &self,
        members: &[Encoded],
        image_sizes: Vec<(u32, u32)>,
        progress: &dyn ModelProgress,
    ) -> Result<Option<Fused>, HostError> {
        if let Some(said) = self.connector_descriptor() {
            progress.part(&said.id);
        }
        let fused = self.fuse(members.iter().map(|seen| &seen.tokens), image_sizes)?;
        let Some(mut fused) = fused else { return Ok(None) };
        fused.tokens = fused.tokens.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        for share in &mut fused.attention {
            *share = share.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
        }
        let id = || self.connector_descriptor().map_or("", |said| said.id.as_str());
        finite::check(|| format!("the tokens of `{}`", id()), &fused.tokens)?;
        Ok(Some(fused))
    }
}
