//! JPEG photographs at a half or a quarter of their size, without the pixels in between.
//!
//! A JPEG holds 8×8 blocks as frequencies. The lowest 4×4 or 2×2 of each block are the block at a smaller size, so that a
//! photograph of 12 megapixels for an encoder of 336 pixels costs little more than reading its codes. An eighth would
//! be hardly faster than a quarter, and is twice as far from the full decoding. Whatever the decoder for this refuses is
//! left to the one that decodes in full, and so are errors and their words.

use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};

/// The largest reduction of an image of this size that leaves two and a half pixels for each of `side` on the longer
/// side, which is the side of the padded square: 1 (none), 2 or 4. Colour, which most photographs hold at half the
/// resolution, then still has more than one. `turned` images are reduced only by what divides both sides: pixels
/// that stand for less than the others must be the last ones.
pub(crate) fn reduction((width, height): (u32, u32), side: u32, turned: bool) -> u32 {
    let fits = |by: &u32| {
        let whole = width.is_multiple_of(*by) && height.is_multiple_of(*by);
        2 * u64::from(width.max(height)) >= 5 * u64::from(*by) * u64::from(side) && (whole || !turned)
    };
    [4, 2].into_iter().find(fits).unwrap_or(1)
}

/// Decodes the JPEG in `bytes`, of this size, at a `reduction` of 2 or 4. `None` when it is not to be had so.
pub(crate) fn decode(bytes: &[u8], (width, height): (u32, u32), reduction: u32) -> Option<DynamicImage> {
    let reduced = [width, height].map(|pixels| pixels.div_ceil(reduction));
    let [requested_width, requested_height] = reduced.map(|pixels| u16::try_from(pixels).ok());

    let mut decoder = Decoder::new(bytes);
    // It takes the smallest scale that is enough on either axis; the shorter one must not decide.
    let got = match width >= height {
        true => decoder.scale(requested_width?, u16::MAX),
        false => decoder.scale(u16::MAX, requested_height?),
    };
    let info = decoder.info()?;
    if got.ok() != requested_width.zip(requested_height) || info.coding_process == CodingProcess::Lossless {
        return None;
    }
    let pixels = decoder.decode().ok()?;
    let [width, height] = reduced;
    match info.pixel_format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
        PixelFormat::L16 | PixelFormat::CMYK32 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_and_a_half_pixels_are_left_for_each() {
        for (size, side, turned, expected) in [
            ((4000, 3000), 336, false, 4),
            ((3000, 4000), 336, false, 4),
            ((8000, 6000), 336, false, 4),
            ((4000, 3000), 400, false, 4),
            ((4000, 3000), 401, false, 2),
            ((4000, 3000), 800, false, 2),
            ((4000, 3000), 801, false, 1),
            ((1680, 10), 336, true, 2),
            ((1679, 10), 336, false, 1),
            ((1681, 10), 336, false, 2),
            ((1681, 10), 336, true, 1),
            ((6722, 12), 336, true, 2),
            ((65535, 65535), u32::MAX, false, 1),
        ] {
            assert_eq!(reduction(size, side, turned), expected, "{size:?} for {side}, turned: {turned}");
        }
    }
}
