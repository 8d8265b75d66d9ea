//! Conversion to 8-bit RGB as Pillow's `convert("RGB")` does it.

use image::{DynamicImage, RgbImage};

use crate::decode::Note;

/// `image` in RGB, with a note for each loss. `grey_png` says that the file is a greyscale PNG without an alpha
/// channel, whatever the decoder made of its transparency chunk.
///
/// Grey of 16 bits is clipped at 255, because Pillow keeps it as 16-bit integers and clips on conversion; colour of
/// 16 bits keeps the high byte, because Pillow drops the low one while reading. `None` for floating-point samples.
pub(crate) fn to_rgb(image: DynamicImage, grey_png: bool, notes: &mut Vec<Note>) -> Option<RgbImage> {
    let (width, height) = (image.width(), image.height());
    let bytes = match image {
        DynamicImage::ImageRgb8(image) => return Some(image),
        DynamicImage::ImageLuma8(image) => grey(image.as_raw(), 1, |x| x),
        DynamicImage::ImageLumaA8(image) => {
            notes.push(Note::AlphaDropped);
            grey(image.as_raw(), 2, |x| x)
        }
        DynamicImage::ImageRgba8(image) => {
            notes.push(Note::AlphaDropped);
            color(image.as_raw(), 4, |x| x)
        }
        DynamicImage::ImageLuma16(image) => {
            notes.push(Note::Grey16Clipped);
            grey(image.as_raw(), 1, clip)
        }
        DynamicImage::ImageLumaA16(image) if grey_png => {
            notes.extend([Note::AlphaDropped, Note::Grey16Clipped]);
            grey(image.as_raw(), 2, clip)
        }
        DynamicImage::ImageLumaA16(image) => {
            notes.extend([Note::AlphaDropped, Note::HighByte]);
            grey(image.as_raw(), 2, high_byte)
        }
        DynamicImage::ImageRgb16(image) => {
            notes.push(Note::HighByte);
            color(image.as_raw(), 3, high_byte)
        }
        DynamicImage::ImageRgba16(image) => {
            notes.extend([Note::AlphaDropped, Note::HighByte]);
            color(image.as_raw(), 4, high_byte)
        }
        _ => return None,
    };
    RgbImage::from_raw(width, height, bytes)
}

fn clip(x: u16) -> u8 {
    x.min(255) as u8
}

fn high_byte(x: u16) -> u8 {
    (x >> 8) as u8
}

fn grey<T: Copy>(samples: &[T], channels: usize, to_byte: impl Fn(T) -> u8) -> Vec<u8> {
    samples.chunks_exact(channels).flat_map(|pixel| [to_byte(pixel[0]); 3]).collect()
}

fn color<T: Copy>(samples: &[T], channels: usize, to_byte: impl Fn(T) -> u8) -> Vec<u8> {
    samples.chunks_exact(channels).flat_map(|p| [to_byte(p[0]), to_byte(p[1]), to_byte(p[2])]).collect()
}
