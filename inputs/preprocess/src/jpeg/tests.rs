//! Byte for byte beside Pillow: `golden/jpeg/`, made by `golden/jpeg.py`. `ZOO_JPEG_GOLDENS` names another folder of its
//! making.

use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Jpeg, Pixels};

fn golden() -> (PathBuf, Vec<Value>) {
    let (folder, list) = match std::env::var_os("ZOO_JPEG_GOLDENS") {
        Some(folder) => (PathBuf::from(&folder), PathBuf::from(folder).join("jpeg.json")),
        None => {
            let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
            (golden.join("jpeg"), golden.join("jpeg.json"))
        }
    };
    (folder, serde_json::from_str(&std::fs::read_to_string(list).unwrap()).unwrap())
}

/// What is wrong with a case, at one size.
fn fault(bytes: &[u8], case: &Value, by: usize, sum: &Value) -> Option<String> {
    let Pixels { width, height, rgb, damage, .. } = match Jpeg::new(bytes).and_then(|jpeg| jpeg.decode(by)) {
        Ok(pixels) => pixels,
        Err(fault) => return Some(format!("{fault:?}")),
    };
    let size = [0, 1].map(|side| case["size"][side].as_u64().unwrap() as usize);
    if [width, height] != size.map(|side| side.div_ceil(by)) {
        return Some(format!("{width}×{height}"));
    }
    let found: String = Sha256::digest(&rgb).iter().map(|b| format!("{b:02x}")).collect();
    if found != *sum {
        return Some("other bytes".into());
    }
    // Absent: sound. Null: nobody knows.
    let serious = damage.is_some_and(|damage| !damage.is_mild());
    match case.get("damaged").map_or(Some(false), Value::as_bool) {
        Some(expected) if expected != serious => Some(format!("damage: {damage:?}")),
        _ => None,
    }
}

#[test]
fn every_encoder_and_setting_gives_the_bytes_of_pillow() {
    let (folder, cases) = golden();
    let (mut pictures, mut faults) = (0, Vec::new());
    for case in &cases {
        let file = case["file"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(file)).unwrap();
        for (by, sum) in case["sha256"].as_object().unwrap() {
            pictures += 1;
            let fault = fault(&bytes, case, by.parse().unwrap(), sum);
            faults.extend(fault.map(|words| format!("{file} at 1/{by}: {words}")));
        }
    }
    println!("{pictures} pictures of {} files", cases.len());
    assert!(pictures > 200, "{pictures} pictures");
    assert!(faults.is_empty(), "{} of {pictures} differ:\n{}", faults.len(), faults.join("\n"));
}

/// What an exact decoder owes to its file: every way of reading it comes to an end, and says which kind it is.
#[test]
fn kinds_that_are_not_read_are_named() {
    let (folder, _) = golden();
    let plain = std::fs::read(folder.join("1x1.jpg")).unwrap();
    let frame = plain.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    for (offset, value, expected) in [
        (1, 0xc3, "lossless coding"),
        (1, 0xc5, "hierarchical coding"),
        (4, 12, "12 bits a sample"),
        (9, 2, "its frame header is of a wrong length"),
    ] {
        let mut bytes = plain.clone();
        bytes[frame + offset] = value;
        let fault = Jpeg::new(&bytes).err().unwrap();
        assert!(format!("{fault:?}").contains(expected), "{expected}: {fault:?}");
    }
}

/// The image of a file that was cut anywhere is refused or marked as cut, and as large as the whole.
#[test]
fn no_prefix_passes_for_whole() {
    let (folder, _) = golden();
    for file in ["2x2.jpg", "2x2-progressive.jpg"] {
        let whole = std::fs::read(folder.join(file)).unwrap();
        for end in 2..whole.len() {
            if let Ok(pixels) = Jpeg::new(&whole[..end]).and_then(|jpeg| jpeg.decode(1)) {
                assert!(pixels.cut && pixels.damage.is_some(), "{file}, {end} bytes");
                assert_eq!((pixels.width, pixels.height), (50, 37));
            }
        }
    }
}
