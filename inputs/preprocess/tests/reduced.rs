//! JPEGs decoded at a reduced size, beside the same files decoded in full. `golden/reduced/` is made by
//! `golden/make.py`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use zoo_core::{Filter, Preprocess};
use zoo_preprocess::{
    DecodeOptions, Decoded, Error, Note, Orientation, RgbImage, decode, open, prepare, prepare_batch, render,
};

fn pipeline(size: u32, filter: Filter) -> Preprocess {
    let pad = [122, 116, 104];
    Preprocess {
        size,
        pad,
        fit: zoo_core::Fit::Pad,
        filter,
        then: None,
        raw: false,
        mean: [0.5; 3],
        std: [0.25; 3],
    }
}

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/reduced").join(file)
}

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}

fn for_side(side: u32) -> DecodeOptions {
    DecodeOptions { reduce_for: Some(side), ..DecodeOptions::default() }
}

/// Mean and greatest difference, in 1/255, of what an encoder of `side` pixels sees.
fn difference(full: &Decoded, reduced: &Decoded, side: u32, filter: Filter) -> (f64, u8) {
    let [full, reduced] = [full, reduced].map(|d| render(d, &pipeline(side, filter)).unwrap());
    let differences: Vec<u8> = full.iter().zip(reduced.iter()).map(|(a, b)| a.abs_diff(*b)).collect();
    let sum: f64 = differences.iter().map(|&d| f64::from(d)).sum();
    (sum / differences.len() as f64, differences.into_iter().max().unwrap())
}

/// Checks that `path` is reduced for a side and that the pixels differ by no more than `mean` and `largest`.
fn check(path: &Path, side: u32, reduction: u32, (mean, largest): (f64, u8)) {
    let full = open(path, &DecodeOptions::default()).unwrap();
    let reduced = open(path, &for_side(side)).unwrap();
    let case = format!("{} for {side}", path.file_name().unwrap().display());
    assert_eq!((reduced.size, reduced.reduction), (full.image.dimensions(), reduction), "{case}");
    assert!(reduced.notes.contains(&Note::Reduced(reduction as u8)), "{case}: {:?}", reduced.notes);
    let expected = [full.size.0, full.size.1].map(|pixels| pixels.div_ceil(reduction));
    assert_eq!(reduced.image.dimensions(), expected.into(), "{case}");
    for filter in [Filter::Bicubic, Filter::Bilinear] {
        let found = difference(&full, &reduced, side, filter);
        println!("{case}, 1/{reduction}, {filter:?}: mean {:.3}, largest {}", found.0, found.1);
        assert!(found.0 <= mean && found.1 <= largest, "{case}, {filter:?}: {found:?}");
    }
}

#[test]
fn photographs_stay_near_exact() {
    for (file, sides) in [
        ("examples/images/lake.jpg", [64, 128]),
        ("examples/images/still-life.jpg", [64, 128]),
        ("docs/images/trilobite.jpg", [156, 313]),
    ] {
        check(&example(file), sides[0], 4, (0.7, 18));
        check(&example(file), sides[1], 2, (0.4, 13));
    }
}

/// Most of what differs here is colour at half the resolution under texture of pixel size.
#[test]
fn every_kind_of_jpeg_stays_near_exact() {
    for file in [
        "420.jpg",
        "422.jpg",
        "444.jpg",
        "portrait.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "rgb.jpg",
        "wide-tables.jpg",
        "grey.jpg",
        "cmyk.jpg",
        "turned.jpg",
    ] {
        check(&golden(file), 20, 4, (2.0, 16));
        check(&golden(file), 40, 2, (0.8, 14));
    }
}

/// A steep ramp along both axes shows any shift: a quarter of an output pixel would be two units and more.
#[test]
fn nothing_is_shifted() {
    for (width, height) in [(1024, 768), (1021, 763), (763, 1021), (1017, 1018), (1031, 129), (5, 700)] {
        let ramp = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([
                (x * 255 / width) as u8,
                (y * 255 / height) as u8,
                ((x + y) * 255 / (width + height)) as u8,
            ])
        });
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 98).encode_image(&ramp).unwrap();
        let full = decode(&bytes, "ramp", &DecodeOptions::default()).unwrap();
        let longer = width.max(height);
        for reduction in [4, 2] {
            let side = 2 * longer / (5 * reduction);
            let reduced = decode(&bytes, "ramp", &for_side(side)).unwrap();
            assert_eq!(reduced.reduction, reduction);
            let found = difference(&full, &reduced, side, Filter::Bicubic);
            println!("{width}×{height} at 1/{reduction}: {found:?}");
            assert!(found.0 < 0.25 && found.1 <= 8, "{width}×{height} at 1/{reduction}: {found:?}");
        }
    }
}

#[test]
fn what_cannot_be_reduced_is_decoded_in_full() {
    let full = open(golden("420.jpg"), &DecodeOptions::default()).unwrap();
    let same = open(golden("420.jpg"), &for_side(41)).unwrap();
    assert_eq!((&same.image, same.size, same.reduction), (&full.image, full.size, 1));
    assert_eq!(same.notes, full.notes);
    let png = example("inputs/preprocess/golden/sources/300x200.png");
    assert_eq!(open(png, &for_side(1)).unwrap().image.dimensions(), (300, 200));
}

/// The size of the original goes to whoever asks for the size of the image.
#[test]
fn the_original_size_is_what_is_reported() {
    let reduced = open(golden("420.jpg"), &for_side(12)).unwrap();
    let prepared = prepare(&reduced, &pipeline(12, Filter::Bicubic)).unwrap();
    assert_eq!((prepared.origins()[0].size, prepared.origins()[0].padded), ((203, 149), true));
}

/// Pixels that cannot be those of the original are refused, and no number is divided by zero.
#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let pipeline = pipeline(12, Filter::Bicubic);
    let good = open(golden("420.jpg"), &for_side(12)).unwrap();
    assert_eq!((good.size, good.reduction), ((203, 149), 4));
    for (size, reduction, part) in [
        ((203, 149), 0, "a reduction of 0"),
        ((203, 149), 2, "203×149 at 1/2 is 102×75 pixels, and there are 51×38"),
        ((205, 149), 4, "205×149 at 1/4 is 52×38"),
        ((203, 148), 4, "203×148 at 1/4 is 51×37"),
        ((0, 0), 1, "0×0 at 1/1"),
    ] {
        let wrong = Decoded { size, reduction, ..good.clone() };
        let error = render(&wrong, &pipeline).unwrap_err();
        assert!(matches!(error, Error::Picture(_)) && error.to_string().contains(part), "{error}");
        let error = prepare_batch(&[&good, &wrong], &pipeline).unwrap_err();
        assert!(matches!(error, Error::Picture(_)) && error.to_string().contains("image 1: "), "{error}");
    }
    // As long as the last pixels stand for something, sizes may differ.
    assert!(render(&Decoded { size: (201, 152), ..good }, &pipeline).is_ok());
}

/// Pixels at an edge that stand for less than the others may not come to lie at the beginning.
#[test]
fn turned_photographs_keep_whole_pixels() {
    let upright = |reduce_for| DecodeOptions {
        orientation: Orientation::Upright,
        reduce_for,
        ..DecodeOptions::default()
    };
    for (file, reduction) in [("turned.jpg", 1), ("turned-whole.jpg", 4)] {
        let full = open(golden(file), &upright(None)).unwrap();
        let reduced = open(golden(file), &upright(Some(12))).unwrap();
        assert_eq!((reduced.size, reduced.reduction), (full.image.dimensions(), reduction), "{file}");
        assert!(reduced.size.1 > reduced.size.0, "{file}");
        let (mean, largest) = difference(&full, &reduced, 12, Filter::Bicubic);
        assert!(mean <= 2.0 && largest <= 15, "{file}: {mean}, {largest}");
    }
}

/// Whatever is wrong with a file is said by the decoder that decodes in full.
#[test]
fn errors_are_those_of_full_decoding() {
    let corpus = example("tests/fuzz/corpus/images");
    let mut seen = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let message = |options| open(&path, &options).map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(message(for_side(1)), message(DecodeOptions::default()));
        seen += usize::from(path.extension().is_some_and(|e| e == "jpg"));
    }
    assert!(seen > 5, "{seen} JPEGs");
}

/// Flips and cuts: whatever comes out, it comes out as a value, of the size that it should have.
#[test]
fn damaged_files_do_not_panic() {
    // Damaged data is looked at as well.
    let options = DecodeOptions { max_pixels: 1 << 16, lenient: true, ..for_side(12) };
    let (mut reduced, mut refused) = (0, 0);
    for entry in std::fs::read_dir(golden("")).unwrap() {
        let path = entry.unwrap().path();
        let whole = std::fs::read(&path).unwrap();
        // Each file has numbers of its own: folders come in any order, and files may be added.
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut state =
            name.bytes().fold(7u32, |state, byte| state.wrapping_mul(31).wrapping_add(byte.into()));
        let mut random = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..=random(4) {
                // Half of the flips hit the headers.
                let end = if random(2) == 0 { bytes.len() } else { 700 };
                let at = random(end);
                bytes[at] = random(256) as u8;
            }
            match decode(&bytes, "damaged", &options) {
                Ok(decoded) => {
                    let expected = [decoded.size.0, decoded.size.1].map(|p| p.div_ceil(decoded.reduction));
                    assert_eq!(decoded.image.dimensions(), expected.into());
                    reduced += usize::from(decoded.reduction > 1);
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(reduced > 100 && refused > 20, "{reduced} reduced, {refused} refused");
}
