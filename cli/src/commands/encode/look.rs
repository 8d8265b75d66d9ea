//! From a batch to the tensors that will be written.

use candle_core::Tensor;
use zoo_core::{ImageBatch, Origin};
use zoo_host::{Encoded, HostError, Zoo};
use zoo_preprocess::Decoded;

use super::source::{Batch, Item};
use crate::commands::session::{Session, encoder_metadata, ensemble_metadata};
use crate::output::{Metadata, Rows};
use crate::report::CliError;

/// What a batch gave.
pub(super) struct Seen {
    /// One entry per tensor, each with one row per image.
    pub tensors: Vec<Rows>,
    /// What is recorded about encoders and connector.
    pub metadata: Metadata,
}

type Outcome = (Vec<Item>, Result<Seen, CliError>);

/// Encodes a batch. When it fails as a whole its images are tried one by one, so that one bad image does not take
/// the others with it.
pub(super) fn look(zoo: &Zoo, session: &Session, batch: Batch, progress: &dyn Fn(&str)) -> Vec<Outcome> {
    match batch {
        Batch::Images(items, images) => match of_images(zoo, session, &images, progress) {
            Err(_) if images.len() > 1 => items
                .into_iter()
                .zip(images)
                .map(|(item, image)| (vec![item], of_images(zoo, session, &[image], progress)))
                .collect(),
            result => vec![(items, result)],
        },
        Batch::Pixels(items, pixels) => {
            let result = of_pixels(zoo, session, &items, pixels);
            vec![(items, result)]
        }
    }
}

fn of_images(
    zoo: &Zoo,
    session: &Session,
    images: &[Decoded],
    progress: &dyn Fn(&str),
) -> Result<Seen, CliError> {
    match session {
        Session::Encoder(encoder) => {
            progress(encoder.id());
            let seen = encoder.encode(&encoder.prepare(images)?)?;
            Ok(Seen { tensors: of_encoder(&seen)?, metadata: encoder_metadata(zoo, encoder, &seen) })
        }
        Session::Ensemble(ensemble) => {
            let seen = ensemble.encode(images, progress)?;
            let mut tensors = Vec::new();
            for (member, encoded) in ensemble.members().iter().zip(&seen.members) {
                tensors.push(rows(format!("features.{}", member.label()), &encoded.tokens)?);
            }
            if let Some(fused) = &seen.fused {
                tensors.push(rows("tokens".into(), &fused.tokens)?);
                for (member, share) in ensemble.members().iter().zip(&fused.attention) {
                    tensors.push(rows(format!("attention.{}", member.label()), share)?);
                }
            }
            Ok(Seen { metadata: ensemble_metadata(zoo, ensemble, &seen), tensors })
        }
    }
}

fn of_pixels(zoo: &Zoo, session: &Session, items: &[Item], pixels: Tensor) -> Result<Seen, CliError> {
    let Session::Encoder(encoder) = session else {
        return Err(CliError::Failed(
            "normalised pixels are made for one encoder; give an ensemble images, or use --encoder".into(),
        ));
    };
    let origin = |(image, item): (usize, &Item)| Origin { image, size: item.size, crop: None, padded: false };
    let origins = items.iter().enumerate().map(origin).collect();
    let batch = ImageBatch::new(pixels, origins).map_err(HostError::from)?;
    let seen = encoder.encode(&batch)?;
    let mut metadata = encoder_metadata(zoo, encoder, &seen);
    metadata.insert("preprocess".into(), "none: the input was normalised pixels".into());
    Ok(Seen { tensors: of_encoder(&seen)?, metadata })
}

fn of_encoder(seen: &Encoded) -> Result<Vec<Rows>, CliError> {
    let mut tensors = vec![rows("features".into(), &seen.tokens)?];
    if let Some(prefix) = &seen.prefix {
        tensors.push(rows("prefix".into(), prefix)?);
    }
    Ok(tensors)
}

fn rows(name: String, tensor: &Tensor) -> Result<Rows, CliError> {
    let read = || Ok(tensor.flatten_all()?.to_vec1::<f32>()?);
    let values = read().map_err(HostError::Core)?;
    Ok(Rows { name, shape: tensor.dims()[1..].to_vec(), values })
}
