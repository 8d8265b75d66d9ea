//! What is prepared: pixels, and what they were before anything was reduced.

use image::RgbImage;

use crate::{Decoded, Error, Result};

/// An image that can be prepared for an encoder: an [`RgbImage`] as it is, or a [`Decoded`] file, whose pixels may stand
/// for larger originals. Its three statements belong together: along each axis there are as many pixels as
/// [`Picture::size`] divided by [`Picture::reduction`], rounded up. [`crate::render`] and [`crate::prepare`] check it.
pub trait Picture: Sync {
    /// The pixels that are there.
    fn pixels(&self) -> &RgbImage;

    /// Width and height of the original.
    fn size(&self) -> (u32, u32) {
        self.pixels().dimensions()
    }

    /// How many pixels of the original each pixel stands for, along each axis, at least 1; those at the right and lower edge may
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

/// Refuses a picture whose pixels are not those of an original of its size.
pub(crate) fn check(picture: &impl Picture) -> Result<()> {
    let (pixels, size, reduction) = (picture.pixels().dimensions(), picture.size(), picture.reduction());
    let wrong = match reduction {
        0 => "a reduction of 0 is none; 1 stands for an image that is there in full".to_owned(),
        _ => {
            let expected = (size.0.div_ceil(reduction), size.1.div_ceil(reduction));
            if pixels == expected {
                return Ok(());
            }
            format!(
                "{}×{} at 1/{reduction} is {}×{} pixels, and there are {}×{}; correct size or reduction",
                size.0, size.1, expected.0, expected.1, pixels.0, pixels.1
            )
        }
    };
    Err(Error::Picture(wrong))
}
