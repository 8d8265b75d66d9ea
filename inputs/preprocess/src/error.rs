//! What can go wrong between a file and its pixels.

use crate::sniff::Format;

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An image that cannot be used, or a pipeline that cannot be carried out. `name` is the file or whatever else
/// the caller calls the image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("{name}: {source}")]
    Io {
        /// The image.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No bytes at all.
    #[error("{name}: the file is empty")]
    Empty {
        /// The image.
        name: String,
    },
    /// The contents are no image of a format that can be read here; the extension is not looked at.
    #[error("{name}: {found}")]
    Format {
        /// The image.
        name: String,
        /// What the contents are, and what to do about it.
        found: String,
    },
    /// The header declares more pixels than the limit; nothing was allocated.
    #[error(
        "{name}: {width}×{height} is {:.1} megapixels, more than the limit of {:.1}; \
         scale the image down, or raise the limit: --max-pixels {}",
        megapixels(u64::from(*width) * u64::from(*height)),
        megapixels(*limit),
        u64::from(*width) * u64::from(*height)
    )]
    TooLarge {
        /// The image.
        name: String,
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
        /// [`crate::DecodeOptions::max_pixels`].
        limit: u64,
    },
    /// Width or height is zero.
    #[error("{name}: the image is {width}×{height}, it has no pixels")]
    NoPixels {
        /// The image.
        name: String,
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
    },
    /// The file ends before the image does.
    #[error("{name}: the {format} file is cut off ({bytes} bytes are there); fetch it again")]
    Truncated {
        /// The image.
        name: String,
        /// Its format.
        format: Format,
        /// Length of what is there.
        bytes: usize,
    },
    /// A sound file with a feature that cannot be read.
    #[error(
        "{name}: this kind of {format} cannot be read ({feature}); convert it to PNG with 8 bits a channel"
    )]
    Unsupported {
        /// The image.
        name: String,
        /// Its format.
        format: Format,
        /// What cannot be read.
        feature: String,
    },
    /// The decoder gave up.
    #[error("{name}: the {format} file is broken: {message}")]
    Broken {
        /// The image.
        name: String,
        /// Its format.
        format: Format,
        /// The decoder's words.
        message: String,
    },
    /// A JPEG whose compressed data is damaged. [`crate::DecodeOptions::lenient`] takes what is left.
    #[error(
        "{name}: the {format} file is damaged ({damage}); fetch it again, or take what can be read with `--lenient`"
    )]
    Damaged {
        /// The image.
        name: String,
        /// Its format.
        format: Format,
        /// What is wrong, and where.
        damage: String,
    },
    /// A pipeline that contradicts itself, or a resize to nothing.
    #[error("preprocessing: {0}")]
    Pipeline(String),
    /// A [`crate::Picture`] whose pixels, size and reduction do not belong together.
    #[error("preprocessing: {0}")]
    Picture(String),
}

fn megapixels(pixels: u64) -> f64 {
    pixels as f64 / 1e6
}

impl From<Error> for zoo_core::Error {
    fn from(error: Error) -> Self {
        Self::InvalidInput(error.to_string())
    }
}
