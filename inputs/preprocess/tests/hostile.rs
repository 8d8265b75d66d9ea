//! Bad files: one clear message each, and never a panic or a large allocation. They are the corpus of the fuzz
//! target `images` and are made by `golden/hostile.py`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::PathBuf;

use zoo_preprocess::{DecodeOptions, Error, decode, open};

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/images")
}

/// Every file of the corpus, and its message after the name. Where that ends in a space, the decoder's own words
/// follow.
const MESSAGES: &[(&str, &str)] = &[
    ("cut-header.jpg", "the JPEG file is cut off (164 bytes are there); fetch it again"),
    ("cut-header.png", "the PNG file is cut off (20 bytes are there); fetch it again"),
    ("cut.bmp", "the BMP file is cut off (603 bytes are there); fetch it again"),
    ("cut.gif", "the GIF file is cut off (101 bytes are there); fetch it again"),
    ("cut.jpg", "the JPEG file is cut off (905 bytes are there); fetch it again"),
    ("cut.png", "the PNG file is cut off (524 bytes are there); fetch it again"),
    ("cut.tiff", "the TIFF file is cut off (646 bytes are there); fetch it again"),
    ("cut.webp", "the WebP file is cut off (762 bytes are there); fetch it again"),
    ("drawing.png", "this is an SVG drawing; render it to PNG first"),
    ("empty.png", "the file is empty"),
    ("film.mp4", "this is a video or another ISO media file; extract a frame first"),
    (
        "floats.tiff",
        "this kind of TIFF cannot be read (samples of 32 bits); convert it to PNG with 8 bits a channel",
    ),
    ("header-only.tiff", "the TIFF file is cut off (8 bytes are there); fetch it again"),
    ("header-only.webp", "the WebP file is cut off (20 bytes are there); fetch it again"),
    (
        "huge.bmp",
        "60000×60000 is 3600.0 megapixels, more than the limit of 179.0; scale the image down, or \
         raise the limit: --max-pixels 3600000000",
    ),
    (
        "huge.gif",
        "65535×65535 is 4294.8 megapixels, more than the limit of 179.0; scale the image down, or \
         raise the limit: --max-pixels 4294836225",
    ),
    (
        "huge.jpg",
        "65500×65500 is 4290.2 megapixels, more than the limit of 179.0; scale the image down, or \
         raise the limit: --max-pixels 4290250000",
    ),
    (
        "huge.png",
        "100000×100000 is 10000.0 megapixels, more than the limit of 179.0; scale the image down, or \
         raise the limit: --max-pixels 10000000000",
    ),
    (
        "largest.png",
        "2147483647×2147483647 is 4611686014132.4 megapixels, more than the limit of 179.0; scale the image down, or \
         raise the limit: --max-pixels 4611686014132420609",
    ),
    ("loop.tiff", "the TIFF file is broken: "),
    ("negative.bmp", "the BMP file is broken: Negative width (-24)"),
    ("no-data.png", "the PNG file is broken: IDAT or fdAT chunk is missing"),
    ("no-end.jpg", "the JPEG file is cut off (1356 bytes are there); fetch it again"),
    ("no-frame.gif", "the GIF file is cut off (14 bytes are there); fetch it again"),
    ("page.jpg", "this is a web page, perhaps an error message saved in place of the image; fetch it again"),
    ("page.pdf", "this is a PDF; export the page as PNG first"),
    ("photo.avif", "this is an AVIF image; convert it to PNG first"),
    ("photo.heic", "this is a HEIC image; convert it to JPEG or PNG first"),
    ("photo.jxl", "this is a JPEG XL image; convert it to PNG first"),
    ("pointer.jpg", "this is a Git LFS pointer, not the image; run `git lfs pull`"),
    ("short-data.png", "the PNG file is broken: IDAT or fDAT chunk does not have enough data for image"),
    ("signature-only.png", "the PNG file is cut off (8 bytes are there); fetch it again"),
    ("start-only.jpg", "the JPEG file is cut off (3 bytes are there); fetch it again"),
    ("text.png", "this is text, not an image; JPEG, PNG, WebP, GIF, BMP and TIFF can be read"),
    (
        "wrong-checksum.png",
        "the PNG file is broken: the checksum of its IHDR chunk is wrong, so that its data is not what was written",
    ),
    ("wrong-depth.png", "the PNG file is broken: Invalid bit depth 3"),
    ("zero-height.jpg", "the JPEG file is broken: its frame header says 40×0 pixels"),
    ("zero-width.png", "the PNG file is broken: Invalid image dimensions"),
    ("zeros.bin", "this is no image of a known format; JPEG, PNG, WebP, GIF, BMP and TIFF can be read"),
];

fn message(file: &str) -> String {
    let bytes = std::fs::read(corpus().join(file)).unwrap();
    match decode(&bytes, file, &DecodeOptions::default()) {
        Ok(decoded) => format!("{file} was decoded to {:?}", decoded.image.dimensions()),
        Err(e) => e.to_string(),
    }
}

#[test]
fn every_bad_file_has_its_message() {
    let mut faults = Vec::new();
    for (file, expected) in MESSAGES {
        let (message, expected) = (message(file), format!("{file}: {expected}"));
        let fits = if expected.ends_with(' ') { message.starts_with(&expected) } else { message == expected };
        if !fits {
            faults.push(format!("{message}\n  expected: {expected}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_corpus_is_in_the_table() {
    let mut files: Vec<_> =
        std::fs::read_dir(corpus()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let named: Vec<_> = MESSAGES.iter().map(|(file, _)| *file).collect();
    assert_eq!(files, named);
}

/// Flips and cuts of good files: whatever comes out, it comes out as a value.
#[test]
fn damaged_files_do_not_panic() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/decode");
    let options = DecodeOptions { max_pixels: 1 << 16, ..Default::default() };
    let mut state = 1u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let (mut decoded, mut refused) = (0, 0);
    for entry in std::fs::read_dir(golden).unwrap() {
        let whole = std::fs::read(entry.unwrap().path()).unwrap();
        for _ in 0..20 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            bytes.truncate(bytes.len() - random(bytes.len()) * random(2));
            for lenient in [false, true] {
                match decode(&bytes, "damaged", &DecodeOptions { lenient, ..options.clone() }) {
                    Ok(_) => decoded += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(decoded > 100 && refused > 100, "{decoded} decoded, {refused} refused");
}

#[test]
fn limits_hold_before_decoding() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/decode/rgb8.png");
    let limit = |max_pixels| open(&golden, &DecodeOptions { max_pixels, ..Default::default() });
    assert!(limit(31 * 17).is_ok());
    assert!(matches!(limit(31 * 17 - 1), Err(Error::TooLarge { width: 31, height: 17, limit: 526, .. })));
}

#[test]
fn what_is_no_file_is_an_input_error() {
    assert!(matches!(open("there/is/none.png", &DecodeOptions::default()), Err(Error::Io { .. })));
    assert!(matches!(open(corpus(), &DecodeOptions::default()), Err(Error::Io { .. })));
}
