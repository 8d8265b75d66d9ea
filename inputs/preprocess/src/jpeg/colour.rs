//! From the components of a JPEG to RGB.

/// What the components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    Ycck,
}

impl Space {
    /// The space of this many components, as libjpeg guesses it from the segments of JFIF and Adobe and the names of the
    /// components.
    pub(super) fn new(names: &[u8], jfif: bool, adobe: Option<u8>) -> Self {
        match (names, adobe) {
            ([_], _) => Self::Grey,
            ([_, _, _], _) if jfif => Self::YCbCr,
            ([_, _, _], Some(0)) | (b"RGB", None) => Self::Rgb,
            ([_, _, _], _) => Self::YCbCr,
            (_, None | Some(0)) => Self::Cmyk,
            _ => Self::Ycck,
        }
    }

    /// Writes a row of pixels, 3 bytes each.
    #[inline(always)]
    pub(super) fn convert(self, rows: &[&[u8]], out: &mut [u8]) {
        match (self, rows) {
            (Self::Grey, &[grey]) => {
                for (pixel, &value) in out.chunks_exact_mut(3).zip(grey) {
                    pixel.copy_from_slice(&[value; 3]);
                }
            }
            (Self::Rgb, &[r, g, b]) => interleave(r, g, b, out),
            (Self::YCbCr, &[y, cb, cr]) => ycc(y, cb, cr, out),
            (Self::Cmyk, &[c, m, y, k]) => {
                for ((((pixel, &c), &m), &y), &k) in out.chunks_exact_mut(3).zip(c).zip(m).zip(y).zip(k) {
                    pixel.copy_from_slice(&[c, m, y].map(|ink| inked(ink, k)));
                }
            }
            (Self::Ycck, &[y, cb, cr, k]) => {
                ycc(y, cb, cr, out);
                for (pixel, &k) in out.chunks_exact_mut(3).zip(k) {
                    pixel.iter_mut().for_each(|value| *value = inked(255 - *value, k));
                }
            }
            _ => {}
        }
    }
}

/// A pixel's colour under an ink and black, both stored inverted as Adobe does: Pillow's `convert("RGB")` of CMYK.
#[inline(always)]
fn inked(ink: u8, black: u8) -> u8 {
    let product = u32::from(255 - ink) * u32::from(black) + 128;
    black - ((product + (product >> 8)) >> 8) as u8
}

#[inline(always)]
fn interleave(r: &[u8], g: &[u8], b: &[u8], out: &mut [u8]) {
    for (((pixel, &r), &g), &b) in out.chunks_exact_mut(3).zip(r).zip(g).zip(b) {
        pixel[0] = r;
        pixel[1] = g;
        pixel[2] = b;
    }
}

/// YCbCr of JFIF with libjpeg's constants of 16 bits. Each product is rounded before it is added, green's two together.
#[inline(always)]
fn ycc(y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    for (((pixel, &y), &cb), &cr) in out.chunks_exact_mut(3).zip(y).zip(cb).zip(cr) {
        let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
        pixel[0] = byte(y + ((91881 * cr + 32768) >> 16));
        pixel[1] = byte(y + ((-22554 * cb - 46802 * cr + 32768) >> 16));
        pixel[2] = byte(y + ((116130 * cb + 32768) >> 16));
    }
}

#[inline(always)]
fn byte(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}
