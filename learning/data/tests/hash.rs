//! Hashes of pictures beside the Python package `imagehash` (`golden/make.py`).

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;
use std::path::Path;

use zoo_data::{Hash, dhash, phash};

#[test]
fn they_are_those_of_imagehash() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = std::fs::read_to_string(golden.join("hashes.json")).unwrap();
    let expected: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 15);
    for (name, hashes) in expected {
        let image = zoo_preprocess::open(golden.join(&name), &Default::default()).unwrap().image;
        let got = [("dhash", dhash(&image).unwrap()), ("phash", phash(&image).unwrap())];
        for (kind, hash) in got {
            assert_eq!(hash.to_string(), hashes[kind], "{name}: {kind}");
            assert_eq!(hashes[kind].parse::<Hash>().unwrap(), hash);
        }
    }
}
