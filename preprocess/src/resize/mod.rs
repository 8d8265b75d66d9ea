//! Resampling to another size, exactly as Pillow does it or fast.

mod exact;
mod fast;
mod taps;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use zoo_core::Filter;

use crate::geometry::Framed;
use crate::{Error, Result};

/// How pixels are resampled. Recorded in every result, because it changes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// Byte for byte what Pillow's `Image.resize` gives: weights of 22 bits, bytes between the passes.
    #[default]
    Exact,
    /// `fast_image_resize`: weights of at most 15 bits, the vertical pass first unless a border stands above and below.
    /// Most bytes are equal and most others differ by one; where the cubic kernel overshoots on hard edges, clipping
    /// between the passes differs more.
    Fast,
}

/// Longest side that a resize may produce.
const MAX_SIDE: u32 = 1 << 15;

/// Resamples `image` to `width × height` as Pillow's `Image.resize` does: antialiased when it shrinks, horizontal
/// pass first.
///
/// # Errors
/// [`Error::Pipeline`] when the image or the target has no pixels, or the target is beyond 32768 on a side.
pub fn resize(
    image: &RgbImage,
    width: u32,
    height: u32,
    filter: Filter,
    mode: ResizeMode,
) -> Result<RgbImage> {
    resize_framed(&Framed::bare(image), width, height, filter, mode)
}

/// [`resize`] of an image within a border. The border is never stored in exact mode.
pub(crate) fn resize_framed(
    source: &Framed,
    width: u32,
    height: u32,
    filter: Filter,
    mode: ResizeMode,
) -> Result<RgbImage> {
    let (outer_width, outer_height) = source.outer();
    let sides = 1..=MAX_SIDE;
    if source.is_empty() || !sides.contains(&width) || !sides.contains(&height) {
        return Err(Error::Pipeline(format!(
            "cannot resize {outer_width}×{outer_height} pixels to {width}×{height}; \
             sides go from 1 to {MAX_SIDE}"
        )));
    }
    let bytes = match mode {
        ResizeMode::Exact => exact::resample(source, width as usize, height as usize, filter),
        ResizeMode::Fast => fast::resample(source, width, height, filter)?,
    };
    from_raw(width, height, bytes)
}

/// An image from bytes of the right number.
pub(crate) fn from_raw(width: u32, height: u32, bytes: Vec<u8>) -> Result<RgbImage> {
    let count = bytes.len();
    RgbImage::from_raw(width, height, bytes)
        .ok_or_else(|| Error::Pipeline(format!("{count} bytes do not make {width}×{height} pixels")))
}
