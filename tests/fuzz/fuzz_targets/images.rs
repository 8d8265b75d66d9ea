//! Any bytes as an image file: an image or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zoo_preprocess::{DecodeOptions, Orientation, decode};

fuzz_target!(|data: &[u8]| {
    let full = DecodeOptions {
        orientation: Orientation::Upright,
        max_pixels: 1 << 20,
        lenient: true,
        ..DecodeOptions::default()
    };
    // A side so small that every JPEG of more than a few pixels is reduced.
    let reduced = DecodeOptions { reduce_for: Some(1), ..full.clone() };
    let strict = DecodeOptions { lenient: false, ..full.clone() };
    for options in [reduced, strict, full] {
        if let Ok(decoded) = decode(data, "fuzz", &options) {
            let (width, height) = decoded.size;
            assert!(width > 0 && height > 0 && u64::from(width) * u64::from(height) <= options.max_pixels);
            let reduced = [width, height].map(|side| side.div_ceil(decoded.reduction));
            assert_eq!(decoded.image.dimensions(), reduced.into());
        }
    }
});
