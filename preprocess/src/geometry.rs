//! Padding and cropping.

use std::borrow::Cow;

use image::RgbImage;
use image::imageops::crop_imm;

use crate::resize::from_raw;
use crate::{Error, Result};

/// Bytes of a pixel.
const RGB: usize = 3;

/// `image` centred on a square of its longer side filled with `color`, offset `(max - min) / 2` rounded down
/// (`expand2square` of LLaVA and Cambrian-1). A square image is returned as it is.
///
/// # Errors
/// [`Error::Pipeline`] when the image has no pixels.
pub fn pad_to_square(image: &RgbImage, color: [u8; 3]) -> Result<Cow<'_, RgbImage>> {
    let framed = Framed::square(image, color);
    if framed.is_empty() {
        return Err(Error::Pipeline("cannot pad an image without pixels".into()));
    }
    framed.to_image()
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

/// `n / 2`, rounded half to even.
fn half_to_even(n: u32) -> u32 {
    let half = n / 2;
    half + (n & half & 1)
}

/// An image within a border of one colour that is not stored.
pub(crate) struct Framed<'a> {
    image: &'a RgbImage,
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    color: [u8; RGB],
}

impl<'a> Framed<'a> {
    /// No border.
    pub(crate) fn bare(image: &'a RgbImage) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self { image, left: 0, top: 0, width, height, color: [0; RGB] }
    }

    /// Centred on a square.
    pub(crate) fn square(image: &'a RgbImage, color: [u8; RGB]) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let side = width.max(height);
        Self { image, left: (side - width) / 2, top: (side - height) / 2, width: side, height: side, color }
    }

    /// The same border around another image, `(width, height)` with it: what is left after a pass along one axis.
    pub(crate) fn around<'b>(&self, image: &'b RgbImage, (width, height): (usize, usize)) -> Framed<'b> {
        let left = if width == self.width { self.left } else { 0 };
        let top = if height == self.height { self.top } else { 0 };
        Framed { image, left, top, width, height, color: self.color }
    }

    /// The image alone.
    pub(crate) fn image(&self) -> &'a RgbImage {
        self.image
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.image.as_raw().is_empty()
    }

    /// Width and height with the border.
    pub(crate) fn outer(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    pub(crate) fn left(&self) -> usize {
        self.left
    }

    pub(crate) fn top(&self) -> usize {
        self.top
    }

    pub(crate) fn image_width(&self) -> usize {
        self.image.width() as usize
    }

    pub(crate) fn image_height(&self) -> usize {
        self.image.height() as usize
    }

    /// Bytes of the image alone.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.image.as_raw()
    }

    /// `width × height` pixels of the border's colour.
    pub(crate) fn border_rows(&self, width: usize, height: usize) -> Vec<u8> {
        self.color.repeat(width * height)
    }

    /// One row of the border, each byte `LANES` times.
    pub(crate) fn border_tile<const LANES: usize>(&self) -> Vec<[u8; LANES]> {
        self.color.map(|c| [c; LANES]).repeat(self.width)
    }

    /// Bytes with the border.
    pub(crate) fn paint(&self) -> Vec<u8> {
        if self.outer() == (self.image_width(), self.image_height()) {
            return self.bytes().to_vec();
        }
        let mut out = self.border_rows(self.width, self.height);
        let (row, inner) = (self.width * RGB, self.image_width() * RGB);
        let lines = out.chunks_exact_mut(row).skip(self.top);
        for (line, pixels) in lines.zip(self.bytes().chunks_exact(inner)) {
            line[self.left * RGB..][..inner].copy_from_slice(pixels);
        }
        out
    }

    /// The image with its border, borrowed where there is none.
    pub(crate) fn to_image(&self) -> Result<Cow<'a, RgbImage>> {
        if self.outer() == (self.image_width(), self.image_height()) {
            return Ok(Cow::Borrowed(self.image));
        }
        from_raw(self.width as u32, self.height as u32, self.paint()).map(Cow::Owned)
    }
}
