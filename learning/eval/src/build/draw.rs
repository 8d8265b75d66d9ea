//! Boxes on pictures, as the published items have them.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use zoo_preprocess::{DecodeOptions, decode};

/// Red, blue, green, in the order in which prompts name them.
const COLOURS: [[u8; 3]; 3] = [[255, 0, 0], [0, 0, 255], [0, 255, 0]];

/// A PNG of the picture with boxes on it.
pub(super) fn boxed(bytes: &[u8], name: &str, boxes: &[[f64; 4]]) -> Result<Vec<u8>, String> {
    let decoded = decode(bytes, name, &DecodeOptions::default()).map_err(|error| error.to_string())?;
    let mut picture = decoded.image;
    let (width, height) = picture.dimensions();
    // As thick on large pictures as on small ones, to the eye.
    let thick = (width.max(height) / 300).max(2);
    for (bbox, colour) in boxes.iter().zip(COLOURS) {
        outline(&mut picture, bbox, thick, Rgb(colour));
    }
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, ImageFormat::Png).map_err(|error| format!("{name}: {error}"))?;
    Ok(out.into_inner())
}

fn outline(picture: &mut RgbImage, bbox: &[f64; 4], thick: u32, colour: Rgb<u8>) {
    let (width, height) = picture.dimensions();
    if width == 0 || height == 0 {
        return;
    }
    let within = |value: f64, most: u32| value.round().clamp(0.0, f64::from(most - 1)) as u32;
    let (left, right) = (within(bbox[0], width), within(bbox[2], width));
    let (top, bottom) = (within(bbox[1], height), within(bbox[3], height));
    for y in top..=bottom {
        for x in left..=right {
            let edge = (x - left).min(right - x).min(y - top).min(bottom - y);
            if edge < thick {
                picture.put_pixel(x, y, colour);
            }
        }
    }
}
