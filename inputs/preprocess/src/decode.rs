//! Image files to 8-bit RGB.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::error::{ImageError, LimitErrorKind, UnsupportedErrorKind};
use image::metadata as exif;
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};
use serde::{Deserialize, Serialize};

use crate::sniff::{Format, HEAD, sniff};
use crate::{Error, Result, frames, jpeg, reduced, rgb};

/// Pixels at which Pillow refuses an image as a decompression bomb.
pub const MAX_PIXELS: u64 = 178_956_970;

/// What to do about the EXIF orientation of a photograph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orientation {
    /// Leave the pixels as they are stored, as `Image.open(..).convert("RGB")` does in the reference code of
    /// Cambrian-1, LLaVA and timm. TIFF is the exception there and here: its orientation is always applied.
    #[default]
    AsStored,
    /// Turn the image upright, as `load_image` of transformers does.
    Upright,
}

/// How to decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeOptions {
    /// EXIF orientation.
    pub orientation: Orientation,
    /// Images that declare more pixels are refused before anything is allocated for them.
    pub max_pixels: u64,
    /// The largest side, in pixels, that encoders will see. JPEGs that are much larger are then decoded at a half or
    /// a quarter of their size, such that at least 2.5 times this side is left: faster, and not byte-exact
    /// ([`Note::Reduced`]). `None` decodes in full.
    pub reduce_for: Option<u32>,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { orientation: Orientation::default(), max_pixels: MAX_PIXELS, reduce_for: None }
    }
}

/// Something that was lost or decided on the way to RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Note {
    /// Transparency was dropped; what lies beneath is shown.
    AlphaDropped,
    /// 16-bit grey values above 255 became 255.
    Grey16Clipped,
    /// 16-bit colour lost its low byte.
    HighByte,
    /// CMYK or YCCK was converted without a colour profile.
    Cmyk,
    /// The file has this EXIF orientation (2 to 8), which was not applied.
    OrientationIgnored(u8),
    /// The file has this EXIF orientation (2 to 8), which was applied.
    OrientationApplied(u8),
    /// The file holds several pictures, frames of an animation or pages; this is the first one.
    FirstOfSeveral,
    /// Decoded at a half or a quarter (2, 4) of its size, as [`DecodeOptions::reduce_for`] allows.
    Reduced(u8),
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AlphaDropped => f.write_str("transparency dropped"),
            Self::Grey16Clipped => f.write_str("16-bit grey clipped at 255, as Pillow does"),
            Self::HighByte => f.write_str("16-bit colour cut to its high byte, as Pillow does"),
            Self::Cmyk => f.write_str("CMYK converted without a colour profile"),
            Self::OrientationIgnored(n) => {
                write!(f, "EXIF orientation {n} not applied, as in the reference code")
            }
            Self::OrientationApplied(n) => write!(f, "EXIF orientation {n} applied"),
            Self::FirstOfSeveral => {
                f.write_str("the first of several frames or pages; the others were passed over")
            }
            Self::Reduced(n) => write!(f, "decoded at 1/{n} of its size, not byte-exact"),
        }
    }
}

/// A decoded image. Whoever makes one of parts keeps to what [`crate::Picture`] says of them.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The pixels.
    pub image: RgbImage,
    /// Width and height of the original: what the rest of the program calls the size of the image.
    pub size: (u32, u32),
    /// How many pixels of the original each pixel of `image` stands for along each axis: 1, or 2 or 4 where
    /// [`DecodeOptions::reduce_for`] allows it.
    pub reduction: u32,
    /// Format of the file.
    pub format: Format,
    /// What was lost or decided.
    pub notes: Vec<Note>,
}

impl Decoded {
    /// An image that is there in full.
    pub fn new(image: RgbImage, format: Format) -> Self {
        Self { size: image.dimensions(), image, reduction: 1, format, notes: Vec::new() }
    }
}

/// Reads and decodes the image at `path`.
///
/// # Errors
/// Every variant of [`Error`] but [`Error::Pipeline`] and [`Error::Picture`], naming the path.
pub fn open(path: impl AsRef<Path>, options: &DecodeOptions) -> Result<Decoded> {
    let name = zoo_core::path_text(path.as_ref()).into_owned();
    let io = |source| Error::Io { name: name.clone(), source };
    let mut file = File::open(&path).map_err(io)?;
    let mut bytes = Vec::new();
    // Look before reading on: what is no image may be very large.
    file.by_ref().take(HEAD as u64).read_to_end(&mut bytes).map_err(io)?;
    recognise(&bytes, &name)?;
    file.read_to_end(&mut bytes).map_err(io)?;
    decode(&bytes, &name, options)
}

/// Decodes the image file in `bytes`; `name` is what messages call it.
///
/// # Errors
/// Every variant of [`Error`] but [`Error::Io`], [`Error::Pipeline`] and [`Error::Picture`].
pub fn decode(bytes: &[u8], name: &str, options: &DecodeOptions) -> Result<Decoded> {
    let format = recognise(bytes, name)?;
    let failed = |e: ImageError| explain(e, name, format, bytes.len());
    let mut notes = Vec::new();
    let complete = match format {
        Format::Jpeg => {
            let markers = jpeg::markers(bytes);
            notes.extend((markers.components == Some(4)).then_some(Note::Cmyk));
            markers.complete
        }
        Format::WebP => is_complete_riff(bytes),
        _ => true, // their decoders notice
    };
    if !complete {
        return Err(Error::Truncated { name: name.into(), format, bytes: bytes.len() });
    }

    let mut decoder = reader(bytes, format, options).into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(Error::NoPixels { name: name.into(), width, height });
    }
    if u64::from(width) * u64::from(height) > options.max_pixels {
        return Err(Error::TooLarge { name: name.into(), width, height, limit: options.max_pixels });
    }
    // Unreadable metadata is no reason to refuse the pixels.
    let stored = decoder.orientation().unwrap_or(exif::Orientation::NoTransforms);
    // Pillow turns TIFF images while it reads them.
    let turn = options.orientation == Orientation::Upright || format == Format::Tiff;
    let turned = turn && stored != exif::Orientation::NoTransforms;
    let mut size = (width, height);
    let smaller = match options.reduce_for {
        Some(side) if format == Format::Jpeg => reduced::decode(bytes, size, side, turned),
        _ => None,
    };
    let (decoded, reduction) = match smaller {
        Some((image, reduction)) => {
            notes.push(Note::Reduced(reduction));
            (image, reduction.into())
        }
        None => (DynamicImage::from_decoder(decoder).map_err(failed)?, 1),
    };

    let mut image = rgb::to_rgb(decoded, is_grey_png(bytes, format), &mut notes).ok_or_else(|| {
        Error::Unsupported { name: name.into(), format, feature: "floating-point samples".into() }
    })?;
    if turned {
        image = upright(image, stored);
        // Orientations from 5 on exchange the sides.
        if stored.to_exif() >= 5 {
            size = (height, width);
        }
        notes.push(Note::OrientationApplied(stored.to_exif()));
    } else if stored != exif::Orientation::NoTransforms {
        notes.push(Note::OrientationIgnored(stored.to_exif()));
    }
    notes.extend(frames::several(bytes, format).then_some(Note::FirstOfSeveral));
    Ok(Decoded { image, size, reduction, format, notes })
}

fn upright(image: RgbImage, stored: exif::Orientation) -> RgbImage {
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(stored);
    image.into_rgb8()
}

fn recognise(bytes: &[u8], name: &str) -> Result<Format> {
    if bytes.is_empty() {
        return Err(Error::Empty { name: name.into() });
    }
    sniff(&bytes[..bytes.len().min(HEAD)]).map_err(|found| Error::Format { name: name.into(), found })
}

/// A reader whose decoders may not allocate more than the largest legal image needs at 16 bits and four channels,
/// twice (a frame and its canvas).
fn reader<'a>(bytes: &'a [u8], format: Format, options: &DecodeOptions) -> ImageReader<Cursor<&'a [u8]>> {
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(options.max_pixels.saturating_mul(16).max(64 << 20));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.codec());
    reader.limits(limits);
    reader
}

/// Whether the header of a PNG says greyscale without alpha (colour type 0).
fn is_grey_png(bytes: &[u8], format: Format) -> bool {
    const COLOR_TYPE: usize = 25;
    format == Format::Png && bytes.get(COLOR_TYPE) == Some(&0)
}

/// Whether a RIFF file is as long as it says.
fn is_complete_riff(bytes: &[u8]) -> bool {
    let declared = bytes.get(4..).and_then(<[u8]>::first_chunk).map(|&length| u32::from_le_bytes(length));
    declared.is_some_and(|length| bytes.len() as u64 >= u64::from(length) + 8)
}

/// The decoder's complaint in our words.
fn explain(error: ImageError, name: &str, format: Format, bytes: usize) -> Error {
    let name = name.to_owned();
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::Truncated { name, format, bytes }
        }
        ImageError::Limits(e) if matches!(e.kind(), LimitErrorKind::InsufficientMemory) => Error::Broken {
            name,
            format,
            message: "decoding it takes more memory than the limit allows".into(),
        },
        ImageError::Unsupported(e) => {
            let feature = match e.kind() {
                UnsupportedErrorKind::Color(color) => format!("colour type {color:?}"),
                UnsupportedErrorKind::GenericFeature(feature) => feature.clone(),
                _ => e.to_string(),
            };
            Error::Unsupported { name, format, feature }
        }
        ImageError::Decoding(e) => {
            let message = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
            let ends = ["unexpected end of file", "unexpected eof", "failed to fill whole buffer"];
            if ends.iter().any(|words| message.to_lowercase().contains(words)) {
                Error::Truncated { name, format, bytes }
            } else {
                Error::Broken { name, format, message }
            }
        }
        other => Error::Broken { name, format, message: other.to_string() },
    }
}
