//! Resampling to another size, exactly as Pillow does it.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod exact;
mod taps;

use image::RgbImage;

pub use taps::Kernel;

use crate::geometry::Framed;
use crate::{Error, Result};

/// Longest side that a resize may produce.
const MAX_SIDE: u32 = 1 << 15;

/// Resamples `image` to `width × height` as Pillow's `Image.resize` does: antialiased when it shrinks, horizontal
/// pass first. (Pillow 13 begins with the vertical pass where the height shrinks by more than twice as many pixels as the
/// width, which moves a few samples that a kernel overshoots. Squares, all that pipelines resize, never do.)
///
/// # Errors
/// [`Error::Pipeline`] when the image or the target has no pixels, or the target is beyond 32768 on a side.
pub fn resize(image: &RgbImage, width: u32, height: u32, filter: impl Into<Kernel>) -> Result<RgbImage> {
    resize_framed(&Framed::bare(image), width, height, filter.into())
}

/// [`resize`] of an image within a border.
pub(crate) fn resize_framed(source: &Framed, width: u32, height: u32, filter: Kernel) -> Result<RgbImage> {
    let sides = 1..=MAX_SIDE;
    if source.image.as_raw().is_empty() || !sides.contains(&width) || !sides.contains(&height) {
        let (columns, rows) = source.image.dimensions();
        return Err(Error::Pipeline(format!(
            "cannot resize {columns}×{rows} pixels to {width}×{height}; sides go from 1 to {MAX_SIDE}"
        )));
    }
    let bytes = exact::resample(source, width as usize, height as usize, filter);
    let count = bytes.len();
    RgbImage::from_raw(width, height, bytes)
        .ok_or_else(|| Error::Pipeline(format!("{count} bytes do not make {width}×{height} pixels")))
}
