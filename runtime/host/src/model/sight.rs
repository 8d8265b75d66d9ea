//! What a model saw, and how it looks.

use candle_core::Tensor;
use zoo_core::{ConnectorInputs, Fused, ImageBlock};
use zoo_preprocess::Decoded;

use super::request::{ModelProgress, Phase};
use super::session::ModelSession;
use crate::HostError;
use crate::eyes::Eyes;

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

    /// What `eyes` make of features `[B, N, C]` of each encoder.
    fn of(eyes: &Eyes, features: &[Tensor], images: &[Decoded]) -> Result<Self, HostError> {
        let sizes = images.iter().map(|image| image.size).collect();
        let (Some(connector), Some(fused)) = (eyes.connector(), eyes.fuse(features, sizes)?) else {
            return Ok(Self::none());
        };
        let blocks = (0..images.len()).map(|row| connector.block(&fused, row)).collect::<Result<_, _>>()?;
        Ok(Self { fused: Some(fused), blocks })
    }
}

impl ModelSession {
    /// Looks at the images of one conversation.
    ///
    /// # Errors
    /// [`HostError`] of the part that fails; a language model on its own has nothing to look with;
    /// [`zoo_core::Error::Cancelled`] when the context of the call says so.
    pub fn look(&self, images: &[Decoded], progress: &dyn ModelProgress) -> Result<Sight, HostError> {
        self.can_look(images)?;
        if images.is_empty() {
            return Ok(Sight::none());
        }
        Sight::of(&self.eyes, &self.features(images, progress)?, images)
    }

    /// Looks at images of as many conversations. Encoders that are dropped after looking are loaded once for all.
    ///
    /// # Errors
    /// As [`ModelSession::look`].
    pub fn look_each(
        &self,
        images: &[Decoded],
        progress: &dyn ModelProgress,
    ) -> Result<Vec<Sight>, HostError> {
        self.can_look(images)?;
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let features = self.features(images, progress)?;
        let one = |(row, image): (usize, &Decoded)| {
            let of_image = features.iter().map(|all| all.narrow(0, row, 1));
            Sight::of(&self.eyes, &of_image.collect::<Result<Vec<_>, _>>()?, std::slice::from_ref(image))
        };
        images.iter().enumerate().map(one).collect()
    }

    /// What the encoders give the connector for one image.
    pub(super) fn connector_inputs(
        &self,
        image: &Decoded,
        progress: &dyn ModelProgress,
    ) -> Result<ConnectorInputs, HostError> {
        let features = self.features(std::slice::from_ref(image), progress)?;
        self.eyes.inputs(&features, vec![image.size])
    }

    /// Of each encoder, one image at a time, so that memory does not grow with their number.
    fn features(&self, images: &[Decoded], progress: &dyn ModelProgress) -> Result<Vec<Tensor>, HostError> {
        progress.begins(Phase::Look, self.eyes.members().len());
        let seen = self.eyes.see(images, 1, progress);
        progress.ends();
        Ok(seen?.into_iter().map(|seen| seen.tokens).collect())
    }

    fn can_look(&self, images: &[Decoded]) -> Result<(), HostError> {
        if images.is_empty() || self.connector().is_some() {
            return Ok(());
        }
        Err(HostError::Conversation(format!(
            "{} is a language model without encoders: ask it without an image",
            self.id()
        )))
    }
}
