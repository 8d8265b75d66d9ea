//! JPEG photographs at a half or a quarter of their size, without the pixels in between.
//!
//! A JPEG holds 8×8 blocks as frequencies. The lowest 4×4 or 2×2 of each block are the block at a smaller size, so that a
//! photograph of 12 megapixels for an encoder of 336 pixels costs little more than reading its codes. An eighth would
//! be hardly faster than a quarter, and is twice as far from the full decoding. Whatever the decoder for this refuses is
//! left to the one that decodes in full, and so are errors and their words.

use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{CodingProcess, Decoder, PixelFormat};

/// Decodes the JPEG in `bytes`, of this size, for encoders of `side` pixels; with the reduction, 2 or 4. `None` where the
/// image is not large enough, and where it is not to be had so. `turned` says that it will be turned upright.
pub(crate) fn decode(bytes: &[u8], size: (u32, u32), side: u32, turned: bool) -> Option<(DynamicImage, u8)> {
    let reduction = reduction(size, side, turned)?;
    let (width, height) = (size.0.div_ceil(reduction.into()), size.1.div_ceil(reduction.into()));
    let requested = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);

    let mut decoder = Decoder::new(bytes);
    // It takes the smallest scale that is enough on either axis; the shorter one must not decide.
    let got = if width >= height {
        decoder.scale(requested.0, u16::MAX)
    } else {
        decoder.scale(u16::MAX, requested.1)
    };
    let info = decoder.info()?;
    // Other formats would be decoded for nothing.
    let known = matches!(info.pixel_format, PixelFormat::L8 | PixelFormat::RGB24);
    if got.ok() != Some(requested) || info.coding_process == CodingProcess::Lossless || !known {
        return None;
    }
    let pixels = decoder.decode().ok()?;
    let image = match info.pixel_format {
        PixelFormat::L8 => DynamicImage::ImageLuma8(GrayImage::from_raw(width, height, pixels)?),
        PixelFormat::RGB24 => DynamicImage::ImageRgb8(RgbImage::from_raw(width, height, pixels)?),
        PixelFormat::L16 | PixelFormat::CMYK32 => return None,
    };
    Some((image, reduction))
}

/// The largest reduction of an image of this size that leaves two and a half pixels for each of `side` on the longer
/// side, which is the side of the padded square: 2 or 4. Colour, which most photographs hold at half the resolution,
/// then still has more than one. Images that will be `turned` are reduced only by what divides both sides: pixels that
/// stand for less than the others must be the last ones.
fn reduction((width, height): (u32, u32), side: u32, turned: bool) -> Option<u8> {
    let fits = |by: &u8| {
        let whole = width.is_multiple_of((*by).into()) && height.is_multiple_of((*by).into());
        2 * u64::from(width.max(height)) >= 5 * u64::from(*by) * u64::from(side) && (whole || !turned)
    };
    [4, 2].into_iter().find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_and_a_half_pixels_are_left_for_each() {
        for (size, side, turned, expected) in [
            ((4000, 3000), 336, false, Some(4)),
            ((3000, 4000), 336, false, Some(4)),
            ((8000, 6000), 336, false, Some(4)),
            ((4000, 3000), 400, false, Some(4)),
            ((4000, 3000), 401, false, Some(2)),
            ((4000, 3000), 800, false, Some(2)),
            ((4000, 3000), 801, false, None),
            ((1680, 10), 336, true, Some(2)),
            ((1679, 10), 336, false, None),
            ((1681, 10), 336, false, Some(2)),
            ((1681, 10), 336, true, None),
            ((6722, 12), 336, true, Some(2)),
            ((65535, 65535), u32::MAX, false, None),
        ] {
            assert_eq!(reduction(size, side, turned), expected, "{size:?} for {side}, turned: {turned}");
        }
    }
}
