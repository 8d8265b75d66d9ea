//! Whether a file holds more pictures than the one that is shown: frames of an animation, pages of a scan.

use crate::sniff::Format;

/// Looks at the structure of the file and decodes nothing. What is damaged holds one picture, or none.
pub(crate) fn several(bytes: &[u8], format: Format) -> bool {
    match format {
        Format::Gif => gif(bytes) == Some(true),
        Format::Png => png(bytes) == Some(true),
        // The flags of an extended file.
        Format::WebP => {
            bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0)
        }
        Format::Tiff => tiff(bytes) == Some(true),
        Format::Jpeg | Format::Bmp => false,
    }
}

/// Whether there is a second image descriptor.
fn gif(bytes: &[u8]) -> Option<bool> {
    let table = |packed: u8| if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) };
    let blocks = |mut at: usize| loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length => at += 1 + usize::from(length),
        }
    };
    let mut at = 13 + table(*bytes.get(10)?);
    let mut images = 0;
    loop {
        match *bytes.get(at)? {
            0x21 => at = blocks(at + 2)?,
            0x2c if images == 1 => return Some(true),
            0x2c => {
                images += 1;
                // The descriptor, its colours, and the size of codes.
                at = blocks(at + 10 + table(*bytes.get(at + 9)?) + 1)?;
            }
            _ => return Some(false),
        }
    }
}

/// Whether an `acTL` chunk before the pixels counts more than one frame.
fn png(bytes: &[u8]) -> Option<bool> {
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?);
        match bytes.get(at + 4..at + 8)? {
            b"acTL" => return Some(u32::from_be_bytes(*bytes.get(at + 8..)?.first_chunk()?) > 1),
            b"IDAT" | b"IEND" => return Some(false),
            _ => at = at.checked_add(12)?.checked_add(usize::try_from(length).ok()?)?,
        }
    }
}

/// Whether the first directory names a next one.
fn tiff(bytes: &[u8]) -> Option<bool> {
    let big = bytes.first() == Some(&b'M');
    let short = |at: usize| {
        let two = *bytes.get(at..)?.first_chunk()?;
        Some(usize::from(if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }))
    };
    let long = |at: usize| {
        let four = *bytes.get(at..)?.first_chunk()?;
        usize::try_from(if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }).ok()
    };
    let directory = long(4)?;
    let next = directory.checked_add(2)?.checked_add(12 * short(directory)?)?;
    Some(long(next)? != 0)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::codecs::gif::GifEncoder;
    use image::{DynamicImage, Frame, ImageFormat, RgbaImage};

    use super::*;

    fn animation(frames: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        for n in 0..frames {
            let frame =
                RgbaImage::from_fn(9, 7, |x, y| image::Rgba([(x * 20) as u8, (y * 30) as u8, n as u8, 255]));
            encoder.encode_frame(Frame::new(frame)).unwrap();
        }
        drop(encoder);
        bytes
    }

    fn still(format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(9, 7).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn animations_and_pages_are_seen() {
        assert!(!several(&animation(1), Format::Gif));
        assert!(several(&animation(2), Format::Gif));
        assert!(several(&animation(3), Format::Gif));

        let png = still(ImageFormat::Png);
        let with_frames =
            |n: u8| [&png[..33], b"\0\0\0\x08acTL\0\0\0", &[n], b"\0\0\0\0crc!", &png[33..]].concat();
        assert!(!several(&png, Format::Png));
        assert!(!several(&with_frames(1), Format::Png));
        assert!(several(&with_frames(2), Format::Png));

        let webp = |flags: u8| [b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0", &[flags][..], &[0; 9]].concat();
        assert!(!several(&webp(0x10), Format::WebP));
        assert!(several(&webp(0x12), Format::WebP));

        let mut tiff = still(ImageFormat::Tiff);
        assert!(!several(&tiff, Format::Tiff));
        let at = u32::from_le_bytes(*tiff[4..].first_chunk().unwrap()) as usize;
        let entries = usize::from(u16::from_le_bytes(*tiff[at..].first_chunk().unwrap()));
        tiff[at + 2 + 12 * entries] = 8;
        assert!(several(&tiff, Format::Tiff));
    }

    #[test]
    fn what_is_cut_off_is_no_animation_and_no_panic() {
        for (bytes, format) in [
            (animation(3), Format::Gif),
            (still(ImageFormat::Png), Format::Png),
            (still(ImageFormat::Tiff), Format::Tiff),
        ] {
            for length in 0..bytes.len() {
                let _ = several(&bytes[..length], format);
            }
        }
        assert!(!several(b"GIF89a", Format::Gif));
    }
}
