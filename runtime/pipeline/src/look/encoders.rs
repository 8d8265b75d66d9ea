//! Encoders that look, and what is kept of it.

use serde_json::Value;
use zoo_core::{CallOptions, ImageBatch, Origin};
use zoo_host::{Encoded, EncoderSession, Eyes, EyesRequest, HostError, Zoo};
use zoo_preprocess::{DecodeOptions, Decoded};

use super::record::{encoder_record, ensemble_record};
use super::{Look, LookError, Rows, Seen, identity};
use crate::Metadata;
use crate::read::{Batch, Item, PixelRows};

/// Opened encoders, which know what is recorded about them.
pub struct Encoders<'z> {
    zoo: &'z Zoo,
    eyes: Eyes,
    identity: Metadata,
}

impl<'z> Encoders<'z> {
    /// Opens plugins and weights.
    ///
    /// # Errors
    /// [`HostError`] of the first part that cannot be opened, or that cannot do what is asked of it.
    pub fn open(zoo: &'z Zoo, request: &EyesRequest) -> Result<Self, HostError> {
        let eyes = zoo.eyes(request)?;
        let identity = identity::of(zoo, request, &eyes)?;
        Ok(Self { zoo, eyes, identity })
    }

    /// What was opened.
    pub fn eyes(&self) -> &Eyes {
        &self.eyes
    }

    /// Everything that decides what they see, as far as it is known before they look: rows of the registry, versions,
    /// weights, what was asked for. Two runs that agree in it give the same numbers for the same images.
    pub fn identity(&self) -> &Metadata {
        &self.identity
    }

    /// `options`, with the size at which images may be decoded for these encoders.
    pub fn decode_options(&self, options: &DecodeOptions) -> DecodeOptions {
        DecodeOptions { reduce_for: self.eyes.decode_options().reduce_for, ..options.clone() }
    }

    fn images(&self, images: &[Decoded], part: &dyn Fn(&str)) -> Result<Seen, LookError> {
        let seen = self.eyes.look(images, &part)?;
        let record = match (self.eyes.alone(), seen.members.first()) {
            (Some(encoder), Some(encoded)) => encoder_record(self.zoo, encoder, encoded),
            _ => ensemble_record(self.zoo, &self.eyes, &seen),
        };
        Ok(Seen { tensors: tensors(&self.eyes, &seen)?, record })
    }

    fn pixels(&self, items: &[Item], rows: &PixelRows, part: &dyn Fn(&str)) -> Result<Seen, LookError> {
        let Some(encoder) = self.eyes.alone() else { return Err(LookError::Pixels) };
        part(encoder.id());
        let origin =
            |(image, item): (usize, &Item)| Origin { image, size: item.size, crop: None, padded: false };
        let origins = items.iter().enumerate().map(origin).collect();
        // Whatever else is in the file is nobody's concern.
        let listed = &encoder.descriptor().options;
        let mut options = CallOptions::default();
        for (name, tensor) in rows.beside.iter().filter(|(name, _)| listed.iter().any(|o| o.name == **name)) {
            options.put(name, tensor.clone());
        }
        let batch = ImageBatch::new(rows.pixels.clone(), origins).map_err(HostError::from)?;
        let batch = batch.with_options(options);
        let encoded = encoder.encode(&batch)?;
        let mut record = encoder_record(self.zoo, encoder, &encoded);
        record.insert("preprocess".into(), Value::from("none: the input was normalised pixels"));
        Ok(Seen { tensors: of_one(encoder, &encoded)?, record })
    }
}

/// What `eyes` saw, by the names under which it is kept: `features` or `embedding`, and `prefix` of an encoder by itself;
/// `features.<member>` of an ensemble, and with a connector its `tokens` and `attention.<member>`.
///
/// # Errors
/// [`HostError::Core`] when memory runs out.
pub fn tensors(eyes: &Eyes, seen: &zoo_host::Seen) -> Result<Vec<Rows>, HostError> {
    if let (Some(encoder), Some(encoded)) = (eyes.alone(), seen.members.first()) {
        return of_one(encoder, encoded);
    }
    let members = eyes.members();
    let mut tensors = Vec::new();
    for (member, encoded) in members.iter().zip(&seen.members) {
        tensors.push(Rows::of(format!("features.{}", member.label()), &encoded.tokens)?);
    }
    if let Some(fused) = &seen.fused {
        tensors.push(Rows::of("tokens", &fused.tokens)?);
        for (member, share) in members.iter().zip(&fused.attention) {
            tensors.push(Rows::of(format!("attention.{}", member.label()), share)?);
        }
    }
    Ok(tensors)
}

fn of_one(encoder: &EncoderSession, seen: &Encoded) -> Result<Vec<Rows>, HostError> {
    let mut tensors = vec![match encoder.embedding() {
        Some(_) => Rows::of("embedding", &seen.tokens.squeeze(1)?)?,
        None => Rows::of("features", &seen.tokens)?,
    }];
    if let Some(prefix) = &seen.prefix {
        tensors.push(Rows::of("prefix", prefix)?);
    }
    Ok(tensors)
}

impl Look for Encoders<'_> {
    fn look(&self, batch: &Batch, part: &dyn Fn(&str)) -> Result<Seen, LookError> {
        match batch {
            Batch::Images(_, images) => self.images(images, part),
            Batch::Pixels(items, pixels) => self.pixels(items, pixels, part),
        }
    }
}
