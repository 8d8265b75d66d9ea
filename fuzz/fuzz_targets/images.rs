//! Any bytes as an image file: an image or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zoo_preprocess::{DecodeOptions, Orientation, decode};

fuzz_target!(|data: &[u8]| {
    let options = DecodeOptions { orientation: Orientation::Upright, max_pixels: 1 << 20 };
    if let Ok(decoded) = decode(data, "fuzz", &options) {
        let (width, height) = decoded.image.dimensions();
        assert!(width > 0 && height > 0 && u64::from(width) * u64::from(height) <= options.max_pixels);
    }
});
