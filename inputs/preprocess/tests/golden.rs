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

/// JPEG leaves the last bits to the decoder, and `src/jpeg/` decides as Pillow's does; more of it is compared there.
#[test]
fn decoding_is_pillows() {
    let cases = cases("decode.json");
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

/// Exif as LONG, and XMP without Exif: as Pillow's `exif_transpose`.
#[test]
fn photographs_are_turned_by_any_metadata_that_pillow_reads() {
    let upright = DecodeOptions { orientation: Orientation::Upright, ..Default::default() };
    let whole = std::fs::read(golden("decode/baseline.jpg")).unwrap();
    let stored = decoded("decode/baseline.jpg").image;
    let long = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let xmp =
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation=\"6\"/></x:xmpmeta>";
    for payload in [&long[..], &xmp[..]] {
        let length = (payload.len() as u16 + 2).to_be_bytes();
        let file = [&whole[..2], b"\xff\xe1", &length, payload, &whole[2..]].concat();
        let turned = zoo_preprocess::decode(&file, "photo", &upright).unwrap();
        assert_eq!(turned.notes, [Note::OrientationApplied(6)]);
        assert_eq!(turned.image, image::imageops::rotate90(&stored));
        let left = zoo_preprocess::decode(&file, "photo", &DecodeOptions::default()).unwrap();
        assert_eq!((left.notes, left.image), (vec![Note::OrientationIgnored(6)], stored.clone()));
    }
}

/// A damaged file is an error, or a note where that was asked for.
#[test]
fn damage_is_said() {
    let lenient = DecodeOptions { lenient: true, ..Default::default() };
    for (file, message) in [
        ("restart-lost", "the JPEG file is damaged (a restart marker is missing, near line 17); "),
        ("bytes-lost-restarts", "the JPEG file is damaged ("),
        ("short-and-ended", "the JPEG file is damaged (its data ends early, near line "),
        ("cut", "the JPEG file is cut off ("),
        ("left-over", "the JPEG file is damaged (59 bytes of its data were left over, near line 49); "),
    ] {
        let path = golden(&format!("jpeg/{file}.jpg"));
        let error = open(&path, &DecodeOptions::default()).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains("fetch it again"), "{error}");
        let decoded = open(&path, &lenient).unwrap();
        assert!(matches!(decoded.notes[..], [Note::Damaged(_)]), "{file}: {:?}", decoded.notes);
        assert_eq!(decoded.image.dimensions(), (80, 61));
    }
    // A few bytes more than were asked for are common: a note, and the pixels.
    let mut bytes = std::fs::read(golden("decode/baseline.jpg")).unwrap();
    let end = bytes.len() - 2;
    bytes.splice(end..end, [1, 2, 3]);
    let decoded = zoo_preprocess::decode(&bytes, "photo", &DecodeOptions::default()).unwrap();
    assert_eq!(decoded.notes, [Note::LeftOver(3)]);
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
