//! The whole way from RGB images to a batch of normalised pixels.

use candle_core::{Device, Tensor};
use image::RgbImage;
use rayon::prelude::*;
use zoo_core::{Fit, ImageBatch, Origin, Preprocess};

use crate::geometry::{Framed, center_crop, shorter_edge};
use crate::normalize::normalize;
use crate::picture::{self, Picture};
use crate::resize::{resize, resize_framed};
use crate::{Error, Result};

/// What the encoder will see of `image`, before normalisation: made a square, resized and, where the pipeline
/// says so, resized again and cropped. `size × size` pixels.
///
/// # Errors
/// [`Error::Pipeline`] when the image has no pixels or the pipeline is impossible; [`Error::Picture`] when pixels, size and
/// reduction of the image do not belong together.
pub fn render(image: &impl Picture, pipeline: &Preprocess) -> Result<RgbImage> {
    check(pipeline)?;
    picture::check(image)?;
    let size = pipeline.size;
    let filter = pipeline.filter.into();
    let squared = match pipeline.fit {
        Fit::Pad => resize_framed(&Framed::square(image, pipeline.pad), size, size, filter)?,
        Fit::Stretch => resize_framed(&Framed::whole(image), size, size, filter)?,
        Fit::Crop => {
            let (width, height) = shorter_edge(image.size(), size);
            center_crop(&resize_framed(&Framed::whole(image), width, height, filter)?, size)?
        }
    };
    match &pipeline.then {
        None => Ok(squared),
        Some(then) => center_crop(&resize(&squared, then.resize, then.resize, then.filter)?, size),
    }
}

/// One image, ready for an encoder.
///
/// # Errors
/// As [`render`].
pub fn prepare(image: &impl Picture, pipeline: &Preprocess) -> Result<Prepared> {
    prepare_batch(&[image], pipeline)
}

/// Several images, ready for an encoder: in parallel, into one buffer.
///
/// # Errors
/// As [`render`], with the position of the image; and when there is no image.
pub fn prepare_batch(images: &[impl Picture], pipeline: &Preprocess) -> Result<Prepared> {
    check(pipeline)?;
    if images.is_empty() {
        return Err(Error::Pipeline("no image was given".into()));
    }
    let floats = 3 * (pipeline.size as usize).pow(2);
    let mut pixels = vec![0.0; images.len() * floats];
    let origins = pixels
        .par_chunks_exact_mut(floats)
        .zip(images)
        .enumerate()
        .map(|(index, (out, image))| {
            let seen = render(image, pipeline).map_err(|e| match e {
                Error::Pipeline(m) if images.len() > 1 => Error::Pipeline(format!("image {index}: {m}")),
                Error::Picture(m) if images.len() > 1 => Error::Picture(format!("image {index}: {m}")),
                e => e,
            })?;
            normalize(&seen, pipeline, out);
            let size = image.size();
            let padded = pipeline.fit == Fit::Pad && size.0 != size.1;
            let crop = (pipeline.fit == Fit::Crop).then(|| middle(size)).flatten();
            Ok(Origin { image: index, size, crop, padded })
        })
        .collect::<Result<_>>()?;
    Ok(Prepared { pixels, side: pipeline.size as usize, origins })
}

/// The square in the middle of an image that is none.
fn middle((width, height): (u32, u32)) -> Option<[u32; 4]> {
    let side = width.min(height);
    (width != height).then(|| [(width - side) / 2, (height - side) / 2, side, side])
}

/// Refuses what cannot be carried out.
fn check(pipeline: &Preprocess) -> Result<()> {
    pipeline.check().map_err(|e| Error::Pipeline(e.to_string()))
}

/// Normalised pixels of a batch, and what they show.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    pixels: Vec<f32>,
    side: usize,
    origins: Vec<Origin>,
}

impl Prepared {
    /// `[B, 3, side, side]`, row-major.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// Side in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// One per image, in the order given: original size, and whether it was padded.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The pixels as an f32 tensor `[B, 3, side, side]` on `device`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn to_tensor(&self, device: &Device) -> zoo_core::Result<Tensor> {
        let shape = (self.origins.len(), 3, self.side, self.side);
        Ok(Tensor::from_slice(&self.pixels, shape, device)?)
    }

    /// What [`zoo_core::Encoder::features`] takes.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn to_batch(&self, device: &Device) -> zoo_core::Result<ImageBatch> {
        ImageBatch::new(self.to_tensor(device)?, self.origins.clone())
    }
}
