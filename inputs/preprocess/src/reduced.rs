//! JPEG photographs at a half or a quarter of their size, without the pixels in between.
//!
//! A JPEG holds 8×8 blocks as frequencies. The lowest 4×4 or 2×2 of each block are the block at a smaller size, so that a
//! photograph of 12 megapixels for an encoder of 336 pixels costs little more than reading its codes. An eighth would
//! be hardly faster than a quarter, and is twice as far from the full decoding. The pixels are those of Pillow's `draft`.

/// The largest reduction of an image of this size that leaves two and a half pixels for each of `side` on the longer
/// side, which is the side of the padded square: 2 or 4, else 1. Colour, which most photographs hold at half the resolution,
/// then still has more than one. Images that will be `turned` are reduced only by what divides both sides: pixels that
/// stand for less than the others must be the last ones.
pub(crate) fn reduction((width, height): (u32, u32), side: u32, turned: bool) -> u8 {
    let fits = |by: &u8| {
        let whole = width.is_multiple_of((*by).into()) && height.is_multiple_of((*by).into());
        2 * u64::from(width.max(height)) >= 5 * u64::from(*by) * u64::from(side) && (whole || !turned)
    };
    [4, 2].into_iter().find(fits).unwrap_or(1)
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
