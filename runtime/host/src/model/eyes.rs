//! Looking: the encoders of a model, and its connector.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use zoo_core::{Connector, ConnectorInputs, Fused, ImageBlock};
use zoo_preprocess::Decoded;

use super::request::{ModelProgress, Phase};
use crate::HostError;
use crate::encoder::{EncoderOpening, EncoderSession};
use crate::ensemble::connector_inputs;

/// What a model saw: the images of one conversation, in their order. It belongs to the request and not to the model,
/// so that nothing of one conversation reaches another.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// Tokens of all images with their padding, and what the connector needs to look again.
    pub fused: Option<Fused>,
    /// One block per image, as it stands among the text.
    pub blocks: Vec<ImageBlock>,
}

impl Sight {
    /// Nothing: for questions without an image.
    pub fn none() -> Self {
        Self::default()
    }
}

/// The part of a model that looks.
pub(super) struct Eyes {
    pub encoders: Vec<Eye>,
    pub connector: Option<Box<dyn Connector>>,
    pub dtype: DType,
    pub device: Device,
    /// Held by whoever has an encoder open that is dropped again: two at once would take the memory of two.
    pub turn: Mutex<()>,
}

/// An encoder that stays open, or one that is opened to look.
pub(super) enum Eye {
    Open(EncoderSession),
    Closed(EncoderOpening),
}

impl Eye {
    fn id(&self) -> &str {
        match self {
            Self::Open(session) => session.id(),
            Self::Closed(opening) => &opening.plan.id,
        }
    }

    /// Features of each image on the CPU. One image at a time, so that memory does not grow with their number.
    fn features(&self, images: &[Decoded], turn: &Mutex<()>) -> Result<Vec<Tensor>, HostError> {
        let (_turn, opened);
        let session = match self {
            Self::Open(session) => session,
            Self::Closed(opening) => {
                _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                opened = opening.open()?;
                &opened
            }
        };
        let one = |image| Ok(session.encode(&session.prepare(std::slice::from_ref(image))?)?.tokens);
        images.iter().map(one).collect()
    }
}

impl Eyes {
    /// What is seen on each of `images`, each by itself.
    pub fn look(&self, images: &[Decoded], progress: &dyn ModelProgress) -> Result<Vec<Sight>, HostError> {
        let features = self.features(images, progress)?;
        let sights = images.iter().enumerate().map(|(i, image)| {
            let of_image = features.iter().map(|per_image| per_image[i].clone()).collect();
            self.fuse(of_image, std::slice::from_ref(image))
        });
        sights.collect()
    }

    /// What is seen on `images` as those of one conversation.
    pub fn look_together(
        &self,
        images: &[Decoded],
        progress: &dyn ModelProgress,
    ) -> Result<Sight, HostError> {
        if images.is_empty() {
            return Ok(Sight::none());
        }
        let features = self.features(images, progress)?;
        let joined = features.iter().map(|per_image| Tensor::cat(per_image, 0)).collect::<Result<_, _>>()?;
        self.fuse(joined, images)
    }

    /// Per encoder, per image.
    fn features(
        &self,
        images: &[Decoded],
        progress: &dyn ModelProgress,
    ) -> Result<Vec<Vec<Tensor>>, HostError> {
        progress.begins(Phase::Look, self.encoders.len());
        let features = self.encoders.iter().map(|eye| {
            progress.part(eye.id());
            eye.features(images, &self.turn)
        });
        let features = features.collect();
        progress.ends();
        features
    }

    /// What the encoders give the connector for one image.
    pub fn inputs(
        &self,
        image: &Decoded,
        progress: &dyn ModelProgress,
    ) -> Result<ConnectorInputs, HostError> {
        let features = self.features(std::slice::from_ref(image), progress)?;
        self.connect(features.into_iter().flatten().collect(), std::slice::from_ref(image))
    }

    fn connect(&self, features: Vec<Tensor>, images: &[Decoded]) -> Result<ConnectorInputs, HostError> {
        let sizes = images.iter().map(|d| d.size).collect();
        Ok(connector_inputs(&features, sizes, self.dtype, &self.device)?)
    }

    fn fuse(&self, features: Vec<Tensor>, images: &[Decoded]) -> Result<Sight, HostError> {
        let Some(connector) = &self.connector else { return Ok(Sight::none()) };
        let fused = connector.forward(&self.connect(features, images)?)?;
        let blocks = (0..images.len()).map(|row| connector.block(&fused, row)).collect::<Result<_, _>>()?;
        Ok(Sight { fused: Some(fused), blocks })
    }
}
