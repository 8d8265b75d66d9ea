//! Image files to 8-bit RGB.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::error::{ImageError, LimitErrorKind, UnsupportedErrorKind};
use image::metadata as exif;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageReader, RgbImage};
use serde::{Deserialize, Serialize};

use crate::jpeg::{Fault, Jpeg};
use crate::orientation::orientation;
use crate::reduced::reduction;
use crate::sniff::{Format, HEAD, sniff};
use crate::{Error, Result, frames, rgb};

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
    /// Turn the image upright, as `load_image` of transformers does (Pillow's `exif_transpose`: Exif, or else XMP).
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
    /// Take what can be read of JPEGs that are damaged or cut off, as Pillow does with `LOAD_TRUNCATED_IMAGES`, and note it
    /// ([`Note::Damaged`]).
    pub lenient: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { orientation: Orientation::default(), max_pixels: MAX_PIXELS, reduce_for: None, lenient: false }
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
    /// The file is damaged or cut off, first near this line, and [`DecodeOptions::lenient`] took what is left.
    Damaged(u32),
    /// So many bytes of a JPEG were left over: some cameras write them; in files that suffered they mean that a part of the
    /// image may be shifted.
    LeftOver(u32),
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
            Self::Damaged(line) => write!(f, "damaged near line {line}; this is what could be read"),
            Self::LeftOver(1) => f.write_str("a byte of its data was left over; it may be damaged"),
            Self::LeftOver(bytes) => write!(f, "{bytes} bytes of its data were left over; it may be damaged"),
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
    let mut stored = match format {
        Format::Jpeg => jpeg(bytes, name, options)?,
        _ => other(bytes, name, format, options)?,
    };
    let number = stored.orientation.to_exif();
    if stored.turned {
        stored.image = upright(stored.image, stored.orientation);
        // Orientations from 5 on exchange the sides.
        if number >= 5 {
            stored.size = (stored.size.1, stored.size.0);
        }
        stored.notes.push(Note::OrientationApplied(number));
    } else if stored.orientation != exif::Orientation::NoTransforms {
        stored.notes.push(Note::OrientationIgnored(number));
    }
    stored.notes.extend(frames::several(bytes, format).then_some(Note::FirstOfSeveral));
    let Stored { image, size, reduction, notes, .. } = stored;
    Ok(Decoded { image, size, reduction, format, notes })
}

/// An image as it is stored.
struct Stored {
    image: RgbImage,
    size: (u32, u32),
    reduction: u32,
    orientation: exif::Orientation,
    /// Whether it is to be turned.
    turned: bool,
    notes: Vec<Note>,
}

/// JPEG, by our own decoder.
fn jpeg(bytes: &[u8], name: &str, options: &DecodeOptions) -> Result<Stored> {
    let format = Format::Jpeg;
    let failed = |fault| {
        let name = name.to_owned();
        match fault {
            Fault::Truncated => Error::Truncated { name, format, bytes: bytes.len() },
            Fault::Unsupported(feature) => Error::Unsupported { name, format, feature },
            Fault::Broken(message) => Error::Broken { name, format, message },
        }
    };
    let jpeg = Jpeg::new(bytes).map_err(failed)?;
    let size = jpeg.size();
    check_size(size, name, options)?;
    let mut notes = Vec::new();
    notes.extend((jpeg.components() == 4).then_some(Note::Cmyk));
    let orientation = orientation(Some(jpeg.exif()), jpeg.xmp());
    let turned =
        options.orientation == Orientation::Upright && orientation != exif::Orientation::NoTransforms;
    let by = options.reduce_for.map_or(1, |side| reduction(size, side, turned));
    notes.extend((by > 1).then_some(Note::Reduced(by)));

    let pixels = jpeg.decode(by.into()).map_err(failed)?;
    match pixels.damage {
        Some(damage) if damage.is_mild() => notes.push(Note::LeftOver(damage.bytes())),
        Some(damage) if options.lenient => notes.push(Note::Damaged(damage.line())),
        Some(_) if pixels.cut => return Err(failed(Fault::Truncated)),
        Some(damage) => return Err(Error::Damaged { name: name.into(), format, damage: damage.to_string() }),
        None => {}
    }
    let (width, height) = (pixels.width as u32, pixels.height as u32);
    let image = RgbImage::from_raw(width, height, pixels.rgb)
        .ok_or_else(|| failed(Fault::Broken("its pixels are too many for this machine".into())))?;
    Ok(Stored { image, size, reduction: by.into(), orientation, turned, notes })
}

/// Other formats, by the decoders of `image`.
fn other(bytes: &[u8], name: &str, format: Format, options: &DecodeOptions) -> Result<Stored> {
    let failed = |e: ImageError| explain(e, name, format, bytes.len());
    // The other decoders notice by themselves.
    if format == Format::WebP && !is_complete_riff(bytes) {
        return Err(Error::Truncated { name: name.into(), format, bytes: bytes.len() });
    }
    if let Some(size) = png_size(bytes).filter(|_| format == Format::Png) {
        check_size(size, name, options)?;
    }
    let mut decoder = reader(bytes, format, options).into_decoder().map_err(failed)?;
    let size = decoder.dimensions();
    if size.0 == 0 || size.1 == 0 {
        return Err(Error::NoPixels { name: name.into(), width: size.0, height: size.1 });
    }
    check_size(size, name, options)?;
    let xmp = match format {
        Format::Png | Format::WebP | Format::Tiff => decoder.xmp_metadata().ok().flatten(),
        _ => None, // Pillow reads none there
    };
    let orientation = match format {
        Format::Tiff => orientation(Some(bytes), xmp.as_deref()),
        _ => orientation(decoder.exif_metadata().ok().flatten().as_deref(), xmp.as_deref()),
    };
    // Pillow turns TIFF images while it reads them.
    let turn = options.orientation == Orientation::Upright || format == Format::Tiff;
    let turned = turn && orientation != exif::Orientation::NoTransforms;
    let decoded = DynamicImage::from_decoder(decoder).map_err(failed)?;
    let mut notes = Vec::new();
    let image = rgb::to_rgb(decoded, is_grey_png(bytes, format), &mut notes).ok_or_else(|| {
        Error::Unsupported { name: name.into(), format, feature: "floating-point samples".into() }
    })?;
    Ok(Stored { image, size, reduction: 1, orientation, turned, notes })
}

/// Refuses images that declare too many pixels.
fn check_size((width, height): (u32, u32), name: &str, options: &DecodeOptions) -> Result<()> {
    if u64::from(width) * u64::from(height) > options.max_pixels {
        return Err(Error::TooLarge { name: name.into(), width, height, limit: options.max_pixels });
    }
    Ok(())
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

/// The size that the header of a PNG declares; its decoder looks at its own limits first.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| bytes.get(at..)?.first_chunk().map(|&side| u32::from_be_bytes(side));
    (bytes.get(12..16)? == b"IHDR").then_some((side(16)?, side(20)?))
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
                UnsupportedErrorKind::Color(ExtendedColorType::Unknown(bits)) => {
                    format!("samples of {bits} bits")
                }
                UnsupportedErrorKind::Color(color) => format!("colour type {color:?}"),
                UnsupportedErrorKind::GenericFeature(feature) => plain(&feature),
                _ => plain(&e.to_string()),
            };
            Error::Unsupported { name, format, feature }
        }
        ImageError::Decoding(e) => {
            let message = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
            let ends = ["unexpected end of file", "unexpected eof", "failed to fill whole buffer"];
            if ends.iter().any(|words| message.to_lowercase().contains(words)) {
                Error::Truncated { name, format, bytes }
            } else {
                Error::Broken { name, format, message: plain(&message) }
            }
        }
        other => Error::Broken { name, format, message: plain(&other.to_string()) },
    }
}

/// A decoder's words without what only its programmers can read.
fn plain(message: &str) -> String {
    const CHUNK: &str = "ChunkType { type: ";
    let mut out = String::new();
    let mut rest = message.trim_end_matches('.');
    while let Some(at) = rest.find(CHUNK) {
        let (before, chunk) = (&rest[..at], &rest[at + CHUNK.len()..]);
        let name = chunk.split(',').next().unwrap_or(chunk);
        out.push_str(before);
        out.push_str(name);
        rest = chunk.split_once('}').map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    match out.strip_prefix("CRC error: ").and_then(|words| words.split_once(" while decoding ")) {
        Some((_, chunk)) => {
            format!("the checksum of its {chunk} is wrong, so that its data is not what was written")
        }
        None => out,
    }
}
