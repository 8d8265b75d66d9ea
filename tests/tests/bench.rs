//! `zoo bench` from end to end: what it promises about its figures, not what they are.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
mod support;

use serde_json::Value;

const PLUGINS: [&str; 5] =
    ["plugins/clip", "plugins/convnext", "plugins/dinov2", "plugins/sva", "plugins/timm-vit"];

/// What the other tests run.
#[test]
fn program() {
    program::run();
}

fn place() -> program::Sandbox {
    program::Sandbox::new(&PLUGINS)
}

#[test]
fn every_configuration_has_its_turn_in_every_round() {
    let place = place();
    let line = "bench --encoder trilobite-clip --batch 1,3 --resolution 56,112 --dtype f32,bf16 --rounds 2 --csv t.csv \
                --plot t.svg";
    let json = place.json(line, 0);
    let cells = json["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 8);
    for cell in cells {
        let number = |key: &str| cell[key].as_f64().unwrap();
        assert_eq!(cell["seconds"].as_array().unwrap().len(), 2, "{cell}");
        let median = cell["images_per_second"]["median"].as_f64().unwrap();
        assert!((number("milliseconds_per_image") * median / 1e3 - 1.0).abs() < 1e-9, "{cell}");
        assert!((number("gflops_per_second") / number("gmacs_per_second") - 2.0).abs() < 1e-9, "{cell}");
        assert_eq!(cell["untrained"], true);
    }
    // Four times the pixels are at least four times the operations.
    let macs = |cell: &Value| cell["macs"].as_u64().unwrap();
    assert!(macs(&cells[2]) >= 4 * macs(&cells[0]), "{json}");
    assert_eq!(std::fs::read_to_string(place.path("t.csv")).unwrap().lines().count(), 9);
    assert!(std::fs::read_to_string(place.path("t.svg")).unwrap().contains("trilobite-clip, bf16"));
    assert_eq!((&json["interrupted"], json["machines"].as_array().unwrap().len()), (&false.into(), 1));
}

#[test]
fn an_ensemble_is_the_sum_of_its_parts() {
    let place = place();
    let json = place.json("bench --ensemble trilobite-four --rounds 1", 0);
    let cell = &json["cells"][0];
    let parts = cell["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 5, "four encoders and a connector");
    let macs: u64 = parts.iter().map(|part| part["macs"].as_u64().unwrap()).sum();
    assert_eq!(cell["macs"], macs);
    let calls = |part: &Value| part["seconds"].as_array().unwrap().len();
    assert!(calls(&parts[0]) > 0 && parts.iter().all(|part| calls(part) == calls(&parts[0])), "{cell}");
    let text = place.run("bench --ensemble trilobite-four --rounds 1", 0).out;
    assert!(text.contains("UNTRAINED") && text.contains("  trilobite-sva"), "{text}");
}

#[test]
fn an_ensemble_stands_beside_its_parts_by_themselves() {
    let place = place();
    let json = place.json("bench --ensemble trilobite-four --batch 2 --rounds 2 --csv t.csv", 0);
    let cell = &json["cells"][0];
    let times =
        |values: &Value| values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
    let parts: Vec<Vec<f64>> = cell["parts"].as_array().unwrap().iter().map(|p| times(&p["alone"])).collect();
    assert!(parts.len() == 5 && parts.iter().all(|alone| alone.len() == 2 && alone[0] > 0.0), "{cell}");
    let sums: Vec<f64> = (0..2).map(|round| parts.iter().map(|alone| alone[round]).sum()).collect();
    // Numbers in a document have not all of their last digits.
    let told = times(&cell["parts_alone_seconds"]);
    assert!(told.iter().zip(&sums).all(|(told, sum)| (told / sum - 1.0).abs() < 1e-9), "{told:?} {sums:?}");
    let more =
        times(&cell["seconds"]).iter().zip(&sums).map(|(whole, sum)| whole / sum - 1.0).sum::<f64>() / 2.0;
    assert!((cell["overhead"]["median"].as_f64().unwrap() - more).abs() < 1e-9, "{cell}");
    let csv = std::fs::read_to_string(place.path("t.csv")).unwrap();
    let last = |line: &str| line.rsplit(',').next().unwrap().parse::<f64>().unwrap();
    let whole = last(csv.lines().nth(1).unwrap());
    assert!((whole - 500.0 * (sums[0] + sums[1]) / 2.0).abs() < 1e-6 * whole, "{csv}");
}

#[test]
fn what_nobody_downloaded_can_be_measured_and_says_so() {
    let place = place();
    let error = place.run("bench --encoder dinov2-vit-s-14 --resolution 56 --rounds 1", 1).err;
    assert!(error.contains("--random-weights"), "{error}");
    let json = place.json("bench --encoder dinov2-vit-s-14 --resolution 56 --rounds 1 --random-weights", 0);
    assert_eq!(json["cells"][0]["untrained"], true);
    let error = place.run("bench --encoder trilobite-convnext --resolution 100", 1).err;
    assert!(error.contains("multiples of 32"), "{error}");
}
