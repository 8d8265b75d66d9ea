//! How pictures are read.

use clap::Args;
use zoo_preprocess::{DecodeOptions, MAX_PIXELS, Orientation};

/// How images are read where a known number of pixels is made of them.
#[derive(Debug, Clone, Default, Args)]
pub struct PixelArgs {
    /// Decode large JPEGs at a reduced size; not byte-exact with Pillow, and recorded
    #[arg(long)]
    pub fast_resize: bool,
    /// Which side is up.
    #[command(flatten)]
    pub orientation: OrientationArgs,
}

/// How images are read where they are decoded in full: to be shown, or before it is known what will look at them.
#[derive(Debug, Clone, Default, Args)]
pub struct OrientationArgs {
    /// Apply the EXIF orientation, which the reference code ignores
    #[arg(long)]
    pub upright: bool,
    /// Take what can be read of JPEGs that are damaged or cut off, and note it
    #[arg(long)]
    pub lenient: bool,
    /// Most pixels that an image may have; 178956970 if absent, as in Pillow
    #[arg(long, value_name = "N")]
    pub max_pixels: Option<u64>,
}

impl OrientationArgs {
    /// How images are decoded in full.
    pub fn decode_options(&self) -> DecodeOptions {
        let orientation = if self.upright { Orientation::Upright } else { Orientation::AsStored };
        let max_pixels = self.max_pixels.unwrap_or(MAX_PIXELS);
        DecodeOptions { orientation, max_pixels, lenient: self.lenient, ..DecodeOptions::default() }
    }
}
