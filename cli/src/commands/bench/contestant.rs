//! What takes turns: an encoder, an ensemble, or a part of an ensemble by itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use candle_core::{Device, Tensor};
use zoo_core::{ImageBatch, Origin};
use zoo_host::{Encoded, EncoderSession, Eyes, HostError};
use zoo_preprocess::{Decoded, Format, RgbImage};

use super::cell::MemberTime;
use zoo_terminal::CliError;

/// Width and height of the photos that ensembles look at.
const PHOTO: (u32, u32) = (640, 480);

/// What is done with it.
pub enum Work {
    /// An encoder looks at pixels.
    Pixels(ImageBatch),
    /// All of an ensemble looks at photos.
    Photos(Rc<[Decoded]>),
    /// One member of an ensemble does, by itself.
    Member(usize, Rc<[Decoded]>),
    /// The connector fuses what the members saw.
    Fusion(Vec<Encoded>),
}

/// One call.
#[derive(Default)]
pub struct Call {
    pub seconds: f64,
    /// Of all of an ensemble: its parts in their order.
    pub parts: Vec<MemberTime>,
    /// Of all of an ensemble: what its members saw.
    pub members: Vec<Encoded>,
}

impl Call {
    /// Bytes of what the members saw, which stay until all is measured.
    pub fn kept(&self) -> u64 {
        let tensors = self.members.iter().flat_map(|seen| std::iter::once(&seen.tokens).chain(&seen.prefix));
        tensors.map(|t| (t.elem_count() * t.dtype().size_in_bytes()) as u64).sum()
    }
}

impl Work {
    /// Does it once. What comes out is given back after the clock has stopped.
    pub fn run(&self, eyes: &Eyes) -> Result<Call, CliError> {
        let begun = Instant::now();
        let seconds = || begun.elapsed().as_secs_f64();
        match self {
            Self::Pixels(batch) => {
                let _seen = eyes.alone().ok_or_else(stray)?.encode(batch)?;
            }
            Self::Photos(photos) => {
                let marks = RefCell::new(Vec::new());
                let mark = |part: &str| marks.borrow_mut().push((part.to_owned(), seconds()));
                let seen = eyes.look(photos, &mark)?;
                let end = seconds();
                let marks = marks.into_inner();
                let ends = marks.iter().skip(1).map(|(_, at)| *at).chain([end]);
                let parts = marks.iter().zip(ends).enumerate().map(|(index, ((id, at), next))| MemberTime {
                    id: id.clone(),
                    macs: eyes.members().get(index).map_or(0, |member| macs(member, photos.len())),
                    seconds: vec![next - at],
                    alone: Vec::new(),
                });
                return Ok(Call { seconds: end, parts: parts.collect(), members: seen.members });
            }
            Self::Member(index, photos) => {
                let member = eyes.members().get(*index).ok_or_else(stray)?;
                let _seen = member.see(photos, photos.len())?;
            }
            Self::Fusion(members) => {
                let photos = members.first().map_or(0, |seen| seen.origins.len());
                let _fused = eyes.fused(members, vec![PHOTO; photos], &())?;
            }
        }
        Ok(Call { seconds: seconds(), ..Call::default() })
    }

    /// The parts of an ensemble that looks at `photos`, of which the connector is the last.
    pub fn parts(eyes: &Eyes, photos: &Rc<[Decoded]>, members: Vec<Encoded>) -> Vec<Self> {
        let encoders = (0..eyes.members().len()).map(|index| Self::Member(index, photos.clone()));
        encoders.chain(eyes.connector().map(|_| Self::Fusion(members))).collect()
    }

    /// Something for `eyes` to look at, pixels where there is a `resolution`, and the multiply-accumulates of doing so.
    pub fn of(
        eyes: &Eyes,
        device: &Device,
        resolution: Option<usize>,
        batch: usize,
    ) -> Result<(Self, u64), CliError> {
        let Some(side) = resolution else {
            let macs = eyes.members().iter().map(|member| macs(member, batch)).sum();
            return Ok((Self::Photos((0..batch as u32).map(photo).collect()), macs));
        };
        let encoder = eyes.alone().and_then(EncoderSession::encoder).ok_or_else(stray)?;
        // Says which sizes would be legal.
        encoder.descriptor().grid(0, side, side).map_err(HostError::from)?;
        let pixels = Tensor::randn(0f32, 1.0, (batch, 3, side, side), device).map_err(HostError::from)?;
        let size = (side as u32, side as u32);
        let origins = (0..batch).map(|image| Origin { image, size, crop: None, padded: false }).collect();
        let pixels = ImageBatch::new(pixels, origins).map_err(HostError::from)?;
        Ok((Self::Pixels(pixels), encoder.cost(batch, side, side).macs))
    }
}

fn macs(encoder: &EncoderSession, batch: usize) -> u64 {
    encoder.cost(batch).map_or(0, |cost| cost.macs)
}

fn stray() -> HostError {
    HostError::Internal("work for other eyes".into())
}

/// A picture with structure at several scales.
fn photo(number: u32) -> Decoded {
    let image = RgbImage::from_fn(PHOTO.0, PHOTO.1, |x, y| {
        let value = |k: u32| ((x * k + y * (number + 3)) ^ (x * y / (k + 7))) as u8;
        image::Rgb([value(1), value(2), value(5)])
    });
    Decoded::new(image, Format::Png)
}
