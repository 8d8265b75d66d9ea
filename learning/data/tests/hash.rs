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
            // One row or column has hardly any frequency that is not 0 but for rounding, and its sign is the hash.
            if kind == "phash" && ["row.png", "column.png"].contains(&name.as_str()) {
                continue;
            }
            // Pillow 13 reduces a tall picture along y first, and what is clipped between the two passes differs by a few
            // levels; resizing here is along x first, as in Pillow before.
            if name == "grey.png" {
                let ours = if kind == "dhash" { "61799e269e1e6178" } else { "9b4e5246ade4313d" };
                assert_eq!(hash.to_string(), ours, "along y first by now? then drop this exception");
                continue;
            }
            assert_eq!(hash.to_string(), hashes[kind], "{name}: {kind}");
            assert_eq!(hashes[kind].parse::<Hash>().unwrap(), hash);
        }
    }
}
