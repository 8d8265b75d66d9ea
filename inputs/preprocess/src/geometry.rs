//! Padding and cropping.

use std::borrow::Cow;

use image::imageops::{crop_imm, replace};
use image::{Rgb, RgbImage};

use crate::picture::Picture;
use crate::{Error, Result};

/// Bytes of a pixel.
pub(crate) const RGB: usize = 3;

/// `image` centred on a square of its longer side filled with `color`, offset `(max - min) / 2` rounded down
/// (`expand2square` of LLaVA and Cambrian-1). A square image is returned as it is.
///
/// # Errors
/// [`Error::Pipeline`] when the image has no pixels.
pub fn pad_to_square(image: &RgbImage, color: [u8; 3]) -> Result<Cow<'_, RgbImage>> {
    let (width, height) = image.dimensions();
    if image.as_raw().is_empty() {
        return Err(Error::Pipeline("cannot pad an image without pixels".into()));
    }
    if width == height {
        return Ok(Cow::Borrowed(image));
    }
    let side = width.max(height);
    let mut square = RgbImage::from_pixel(side, side, Rgb(color));
    replace(&mut square, image, ((side - width) / 2).into(), ((side - height) / 2).into());
    Ok(Cow::Owned(square))
}

/// The central `size × size` pixels, offset `(side - size) / 2` rounded half to even as torchvision's `CenterCrop`
/// does (Python's `round`).
///
/// # Errors
/// [`Error::Pipeline`] when the image is smaller than that.
pub fn center_crop(image: &RgbImage, size: u32) -> Result<RgbImage> {
    let (width, height) = image.dimensions();
    if size == 0 || width < size || height < size {
        return Err(Error::Pipeline(format!("cannot crop {size}×{size} pixels out of {width}×{height}")));
    }
    let (left, top) = (half_to_even(width - size), half_to_even(height - size));
    Ok(crop_imm(image, left, top, size, size).to_image())
}

/// Width and height of an image whose shorter edge becomes `size`; the longer one is rounded down, as torchvision's
/// `Resize` does it.
pub(crate) fn shorter_edge((width, height): (u32, u32), size: u32) -> (u32, u32) {
    let shorter = u64::from(width.min(height).max(1));
    let scaled = |edge: u32| u32::try_from(u64::from(edge) * u64::from(size) / shorter).unwrap_or(u32::MAX);
    (scaled(width), scaled(height))
}

/// `n / 2`, rounded half to even.
fn half_to_even(n: u32) -> u32 {
    let half = n / 2;
    half + (n & half & 1)
}

/// One axis of a [`Framed`] image, in its samples. The grid of samples goes on into the border.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    /// Samples of the image.
    pub(crate) samples: usize,
    /// How much of the last of them is image: less than 1 where the reduction does not divide the size.
    pub(crate) tail: f64,
    /// Samples of the border before the image; the frame may begin within the first.
    pub(crate) lead: usize,
    /// Samples of border, image and border.
    pub(crate) total: usize,
    /// Where the frame begins, from the first sample on: a part of a sample.
    pub(crate) start: f64,
    /// Length of the frame, in samples.
    pub(crate) length: f64,
}

impl Axis {
    /// No border.
    fn bare(samples: usize) -> Self {
        Self { samples, tail: 1.0, lead: 0, total: samples, start: 0.0, length: samples as f64 }
    }

    /// `pixels` in the middle of `side`, of which `samples` of `reduction` pixels each are there.
    fn centred(pixels: u32, side: u32, samples: u32, reduction: u32) -> Self {
        let [before, image, length] =
            [(side - pixels) / 2, pixels, side].map(|pixels| f64::from(pixels) / f64::from(reduction));
        let lead = before.ceil();
        let start = lead - before;
        Self {
            samples: samples as usize,
            tail: image + 1.0 - f64::from(samples),
            lead: lead as usize,
            total: (start + length).ceil() as usize,
            start,
            length,
        }
    }

    /// Whether resampling to `size` samples gives what is there.
    pub(crate) fn is_plain(&self, size: usize) -> bool {
        *self == Self::bare(size)
    }
}

/// An image within a border of one colour that is not stored.
pub(crate) struct Framed<'a> {
    pub(crate) image: &'a RgbImage,
    pub(crate) horizontal: Axis,
    pub(crate) vertical: Axis,
    pub(crate) color: [u8; RGB],
}

impl<'a> Framed<'a> {
    /// No border.
    pub(crate) fn bare(image: &'a RgbImage) -> Self {
        let (width, height) = image.dimensions();
        let [horizontal, vertical] = [width, height].map(|samples| Axis::bare(samples as usize));
        Self { image, horizontal, vertical, color: [0; RGB] }
    }

    /// No border, to the original pixel.
    pub(crate) fn whole(picture: &'a impl Picture) -> Self {
        let (image, (width, height)) = (picture.pixels(), picture.size());
        let axis = |pixels, samples| Axis::centred(pixels, pixels, samples, picture.reduction());
        let (horizontal, vertical) = (axis(width, image.width()), axis(height, image.height()));
        Self { image, horizontal, vertical, color: [0; RGB] }
    }

    /// Centred on a square, to the original pixel.
    pub(crate) fn square(picture: &'a impl Picture, color: [u8; RGB]) -> Self {
        let (image, (width, height)) = (picture.pixels(), picture.size());
        let side = width.max(height);
        let axis = |pixels, samples| Axis::centred(pixels, side, samples, picture.reduction());
        let (horizontal, vertical) = (axis(width, image.width()), axis(height, image.height()));
        Self { image, horizontal, vertical, color }
    }
}
