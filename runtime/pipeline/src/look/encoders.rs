//! Encoders that look: one, or several together with their connector.

use candle_core::Tensor;
use serde_json::Value;
use zoo_core::{ImageBatch, Origin};
use zoo_host::{Encoded, EncoderRequest, EncoderSession, EnsembleRequest, EnsembleSession, HostError, Zoo};
use zoo_preprocess::{DecodeOptions, Decoded};

use super::record::{encoder_record, ensemble_record};
use super::{Look, LookError, Rows, Seen, identity};
use crate::Metadata;
use crate::read::{Batch, Item};

/// What is to be opened.
#[derive(Debug, Clone)]
pub enum Request {
    /// One encoder.
    Encoder(EncoderRequest),
    /// An ensemble.
    Ensemble {
        /// Its id.
        id: String,
        /// What is wanted of it.
        request: EnsembleRequest,
    },
}

/// What was opened.
pub enum Opened {
    /// One encoder.
    One(Box<EncoderSession>),
    /// Several, and maybe a connector.
    Ensemble(Box<EnsembleSession>),
}

/// Opened encoders, which know what is recorded about them.
pub struct Encoders<'z> {
    zoo: &'z Zoo,
    opened: Opened,
    identity: Metadata,
}

impl<'z> Encoders<'z> {
    /// Opens plugins and weights.
    ///
    /// # Errors
    /// [`HostError`] of the first part that cannot be opened, or that cannot do what is asked of it.
    pub fn open(zoo: &'z Zoo, request: Request) -> Result<Self, HostError> {
        let opened = match &request {
            Request::Encoder(request) => Opened::One(Box::new(zoo.encoder(request)?)),
            Request::Ensemble { id, request } => Opened::Ensemble(Box::new(zoo.ensemble(id, request)?)),
        };
        let identity = identity::of(zoo, &request, &opened)?;
        Ok(Self { zoo, opened, identity })
    }

    /// What was opened.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Everything that decides what they see, as far as it is known before they look: rows of the registry, versions,
    /// weights, what was asked for. Two runs that agree in it give the same numbers for the same images.
    pub fn identity(&self) -> &Metadata {
        &self.identity
    }

    /// Registry id.
    pub fn id(&self) -> &str {
        match &self.opened {
            Opened::One(encoder) => encoder.id(),
            Opened::Ensemble(ensemble) => ensemble.id(),
        }
    }

    /// Whether any weights were never trained.
    pub fn untrained(&self) -> bool {
        match &self.opened {
            Opened::One(encoder) => encoder.untrained(),
            Opened::Ensemble(ensemble) => ensemble.untrained(),
        }
    }

    /// `options`, with the size at which images may be decoded for these encoders.
    pub fn decode_options(&self, options: &DecodeOptions) -> DecodeOptions {
        let reduce_for = match &self.opened {
            Opened::One(encoder) => encoder.decode_options().reduce_for,
            Opened::Ensemble(ensemble) => ensemble.decode_options().reduce_for,
        };
        DecodeOptions { reduce_for, ..options.clone() }
    }

    fn images(&self, images: &[Decoded], part: &dyn Fn(&str)) -> Result<Seen, LookError> {
        match &self.opened {
            Opened::One(encoder) => {
                part(encoder.id());
                let seen = encoder.encode(&encoder.prepare(images)?)?;
                self.one(encoder, &seen)
            }
            Opened::Ensemble(ensemble) => {
                let seen = ensemble.encode(images, part)?;
                let mut tensors = Vec::new();
                for (member, encoded) in ensemble.members().iter().zip(&seen.members) {
                    tensors.push(Rows::of(format!("features.{}", member.label()), &encoded.tokens)?);
                }
                if let Some(fused) = &seen.fused {
                    tensors.push(Rows::of("tokens", &fused.tokens)?);
                    for (member, share) in ensemble.members().iter().zip(&fused.attention) {
                        tensors.push(Rows::of(format!("attention.{}", member.label()), share)?);
                    }
                }
                Ok(Seen { record: ensemble_record(self.zoo, ensemble, &seen), tensors })
            }
        }
    }

    fn pixels(&self, items: &[Item], pixels: &Tensor, part: &dyn Fn(&str)) -> Result<Seen, LookError> {
        let Opened::One(encoder) = &self.opened else { return Err(LookError::Pixels) };
        part(encoder.id());
        let origin =
            |(image, item): (usize, &Item)| Origin { image, size: item.size, crop: None, padded: false };
        let origins = items.iter().enumerate().map(origin).collect();
        let batch = ImageBatch::new(pixels.clone(), origins).map_err(HostError::from)?;
        let mut seen = self.one(encoder, &encoder.encode(&batch)?)?;
        seen.record.insert("preprocess".into(), Value::from("none: the input was normalised pixels"));
        Ok(seen)
    }

    fn one(&self, encoder: &EncoderSession, seen: &Encoded) -> Result<Seen, LookError> {
        let mut tensors = vec![Rows::of("features", &seen.tokens)?];
        if let Some(prefix) = &seen.prefix {
            tensors.push(Rows::of("prefix", prefix)?);
        }
        Ok(Seen { tensors, record: encoder_record(self.zoo, encoder, seen) })
    }
}

impl Look for Encoders<'_> {
    fn look(&self, batch: &Batch, part: &dyn Fn(&str)) -> Result<Seen, LookError> {
        match batch {
            Batch::Images(_, images) => self.images(images, part),
            Batch::Pixels(items, pixels) => self.pixels(items, pixels, part),
        }
    }
}
