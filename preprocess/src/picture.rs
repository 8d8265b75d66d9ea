//! What is prepared: pixels, and what they were before anything was reduced.

use image::RgbImage;

use crate::Decoded;

/// An image that can be prepared for an encoder: an [`RgbImage`] as it is, or a [`Decoded`] file, whose pixels may stand
/// for larger originals.
pub trait Picture: Sync {
    /// The pixels that are there.
    fn pixels(&self) -> &RgbImage;

    /// Width and height of the original.
    fn size(&self) -> (u32, u32) {
        self.pixels().dimensions()
    }

    /// How many pixels of the original each pixel stands for, along each axis; those at the right and lower edge may
    /// stand for fewer.
    fn reduction(&self) -> u32 {
        1
    }
}

impl Picture for RgbImage {
    fn pixels(&self) -> &RgbImage {
        self
    }
}

impl Picture for Decoded {
    fn pixels(&self) -> &RgbImage {
        &self.image
    }

    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn reduction(&self) -> u32 {
        self.reduction
    }
}

impl<P: Picture> Picture for &P {
    fn pixels(&self) -> &RgbImage {
        (*self).pixels()
    }

    fn size(&self) -> (u32, u32) {
        (*self).size()
    }

    fn reduction(&self) -> u32 {
        (*self).reduction()
    }
}
