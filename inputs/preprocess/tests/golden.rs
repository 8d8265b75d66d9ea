//! Byte-exact comparison with Pillow; the files are made by `golden/make.py`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};
use zoo_core::{Filter, Preprocess};
use zoo_preprocess::{DecodeOptions, Decoded, Note, Orientation, open, prepare, render, resize};

fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(path)
}

fn cases(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(golden(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn decoded(path: &str) -> Decoded {
    open(golden(path), &DecodeOptions::default()).unwrap()
}

fn source(case: &Value) -> Decoded {
    decoded(&format!("sources/{}", case["source"].as_str().unwrap()))
}

fn digest(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn get<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// Fails with every case that differs, not only the first.
fn report(faults: Vec<String>, cases: usize) {
    assert!(cases > 0, "no cases");
    assert!(faults.is_empty(), "{} of {cases} differ:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn resize_is_pillows() {
    let cases = cases("resize.json");
    let mut faults = Vec::new();
    for case in &cases {
        let (width, height): (u32, u32) = get(&case["size"]);
        let filter: Filter = get(&case["filter"]);
        let resized = resize(&source(case).image, width, height, filter).unwrap();
        if digest(resized.as_raw()) != case["sha256"] {
            faults.push(case.to_string());
        }
    }
    report(faults, cases.len());
}

#[test]
fn pipelines_are_pillows_and_torchvisions() {
    let cases = cases("pipeline.json");
    let mut faults = Vec::new();
    for case in &cases {
        let pipeline: Preprocess = get(&case["pipeline"]);
        let image = source(case).image;
        let seen = render(&image, &pipeline).unwrap();
        if digest(seen.as_raw()) != case["seen"] {
            faults.push(format!("bytes: {case}"));
        }
        let prepared = prepare(&image, &pipeline).unwrap();
        let pixels: Vec<u8> = prepared.pixels().iter().flat_map(|x| x.to_le_bytes()).collect();
        if digest(pixels) != case["pixels"] {
            faults.push(format!("floats: {case}"));
        }
    }
    report(faults, cases.len());
}

#[test]
fn lossless_decoding_is_pillows() {
    let cases: Vec<_> = cases("decode.json").into_iter().filter(|c| c.get("expected").is_none()).collect();
    let mut faults = Vec::new();
    for case in &cases {
        let file = case["file"].as_str().unwrap();
        match open(golden(&format!("decode/{file}")), &DecodeOptions::default()) {
            Ok(d) if d.image.dimensions() != get(&case["size"]) => faults.push(format!("{file}: size")),
            Ok(d) if digest(d.image.as_raw()) != case["sha256"] => faults.push(format!("{file}: pixels")),
            Ok(_) => {}
            Err(e) => faults.push(e.to_string()),
        }
    }
    report(faults, cases.len());
}

/// Lossy formats leave the last bits to the decoder: JPEG decoders differ in the inverse transform and in how they
/// spread subsampled colour. WebP defines every bit.
#[test]
fn lossy_decoding_is_near_pillows() {
    let cases: Vec<_> = cases("decode.json").into_iter().filter(|c| c.get("expected").is_some()).collect();
    let mut faults = Vec::new();
    for case in &cases {
        let file = case["file"].as_str().unwrap();
        let ours = decoded(&format!("decode/{file}")).image;
        let pillow = decoded(&format!("decode/{}", case["expected"].as_str().unwrap())).image;
        assert_eq!(ours.dimensions(), pillow.dimensions(), "{file}");
        let differences: Vec<u32> =
            ours.as_raw().iter().zip(pillow.as_raw()).map(|(&a, &b)| a.abs_diff(b).into()).collect();
        let largest = differences.iter().copied().max().unwrap();
        let mean = f64::from(differences.iter().sum::<u32>()) / differences.len() as f64;
        println!("{file}: largest {largest}, mean {mean:.3}");
        let bounds = if file.ends_with(".webp") { (0, 0.0) } else { (4, 0.5) };
        if largest > bounds.0 || mean > bounds.1 {
            faults.push(format!("{file}: largest {largest}, mean {mean:.3}"));
        }
    }
    report(faults, cases.len());
}

#[test]
fn orientation_is_left_unless_asked_for() {
    let path = golden("decode/turned.png");
    let stored = open(&path, &DecodeOptions::default()).unwrap();
    let upright = DecodeOptions { orientation: Orientation::Upright, ..Default::default() };
    let turned = open(&path, &upright).unwrap();
    assert_eq!(stored.notes, [Note::OrientationIgnored(6)]);
    assert_eq!(turned.notes, [Note::OrientationApplied(6)]);
    assert_eq!(stored.image.dimensions(), (31, 17));
    assert_eq!(turned.image, image::imageops::rotate90(&stored.image));
}

#[test]
fn losses_are_noted() {
    use Note::{AlphaDropped, Cmyk, FirstOfSeveral, Grey16Clipped, HighByte, OrientationApplied};
    for (file, notes) in [
        ("rgb8.png", &[][..]),
        ("rgba8.png", &[AlphaDropped]),
        ("grey16.png", &[Grey16Clipped]),
        ("grey16-trns.png", &[AlphaDropped, Grey16Clipped]),
        ("rgba16.png", &[AlphaDropped, HighByte]),
        ("cmyk.jpg", &[Cmyk]),
        ("turned.tiff", &[OrientationApplied(6)]),
        ("animated.gif", &[AlphaDropped, FirstOfSeveral]),
    ] {
        assert_eq!(decoded(&format!("decode/{file}")).notes, notes, "{file}");
    }
}
