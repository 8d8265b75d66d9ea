//! Images against texts, from files to percentages, against open_clip's pixels and transformers' CLIP
//! (`tests/texts/make.py`), through both doors.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use serde::Deserialize;
use zoo_core::{CallOptions, FeatureRequest, Precision};
use zoo_host::{EncoderRequest, Zoo, probabilities, to_unit};
use zoo_preprocess::Decoded;

#[derive(Deserialize)]
struct Expected {
    images: Vec<String>,
    labels: Vec<String>,
    templates: Vec<String>,
    plain: Vec<Vec<f64>>,
    with_templates: Vec<Vec<f64>>,
}

fn expected() -> Expected {
    let path = support::sources("tests/texts/expected.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn zoo() -> Zoo {
    support::zoo_with(&["plugins/clip"], Precision::F32, vec![support::sources("tests/texts/registry.toml")])
}

fn doors() -> [Zoo; 2] {
    [zoo(), zoo().with_linked(&[&zoo_clip::PLUGIN])]
}

fn vectors() -> EncoderRequest {
    EncoderRequest { vectors: true, ..EncoderRequest::new("pair") }
}

fn images(names: &[String]) -> Vec<Decoded> {
    let open = |name: &String| {
        zoo_preprocess::open(support::sources("examples/images").join(name), &Default::default()).unwrap()
    };
    names.iter().map(open).collect()
}

/// Percentages of each image, and the bits of its vector.
fn judge(zoo: &Zoo, expected: &Expected, templates: &[String]) -> (Vec<Vec<f64>>, Vec<Vec<f32>>) {
    let text = zoo.text(&vectors()).unwrap();
    let labels = text.labels(&expected.labels, templates).unwrap();
    let encoder = zoo.encoder(&vectors()).unwrap();
    let seen = encoder.see(&images(&expected.images), 2).unwrap().tokens.squeeze(1).unwrap();
    let cosines = to_unit(&seen).unwrap().matmul(&labels.t().unwrap()).unwrap().to_vec2::<f32>().unwrap();
    let shares = cosines.iter().map(|row| {
        let row: Vec<f64> = row.iter().copied().map(f64::from).collect();
        probabilities(text.descriptor(), &row)
    });
    (shares.collect(), seen.to_vec2().unwrap())
}

#[track_caller]
fn near(got: &[Vec<f64>], expected: &[Vec<f64>]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!((got - expected).abs() < 1e-5, "{got} and not {expected}");
    }
}

#[test]
fn percentages_are_those_of_the_reference_through_both_doors() {
    let expected = expected();
    let [library, linked] = doors().map(|zoo| {
        let plain = judge(&zoo, &expected, &[]);
        near(&plain.0, &expected.plain);
        near(&judge(&zoo, &expected, &expected.templates).0, &expected.with_templates);
        plain
    });
    assert_eq!(library, linked);
}

#[test]
fn a_vector_beside_maps_is_the_vector_and_the_maps_are_the_maps() {
    for zoo in doors() {
        let session = zoo.encoder(&vectors()).unwrap();
        let encoder = session.encoder().unwrap();
        let pixels = session.prepare(&images(&expected().images)).unwrap();
        let (pixels, options) = (pixels.pixels(), CallOptions::default());
        let request = FeatureRequest { prefix: true, ..FeatureRequest::layer(0, true) };
        let both = encoder.embed(pixels, Some(&request), &options).unwrap();
        let alone = encoder.embed(pixels, None, &options).unwrap();
        let maps = encoder.forward(pixels, &request).unwrap();
        assert!(alone.maps.is_empty());
        let bits = |tensor: &candle_core::Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(bits(&both.vectors), bits(&alone.vectors));
        assert_eq!(bits(&both.maps[0].tokens), bits(&maps[0].tokens));
        assert_eq!(bits(both.maps[0].prefix.as_ref().unwrap()), bits(maps[0].prefix.as_ref().unwrap()));
    }
}

#[test]
fn what_is_not_there_is_said() {
    let zoo = zoo();
    let without = zoo.encoder(&EncoderRequest::new("pair")).unwrap();
    let pixels = without.prepare(&images(&expected().images)).unwrap();
    let error = without.encoder().unwrap().embed(pixels.pixels(), None, &CallOptions::default());
    let message = error.err().unwrap().to_string();
    assert!(message.contains("opened without what makes them"), "{message}");
    let message = zoo.text(&EncoderRequest::new("trilobite-clip")).err().unwrap().to_string();
    assert!(message.contains("`trilobite-clip` has no text tower"), "{message}");
    let bad = support::folder().join("texts.toml");
    let rows = std::fs::read_to_string(support::sources("tests/texts/registry.toml")).unwrap();
    std::fs::write(&bad, rows.replace("context = 77, project = 24", "context = 77, project = 20")).unwrap();
    let zoo = support::zoo_with(&["plugins/clip"], Precision::F32, vec![bad]);
    let judgement = zoo.judge_rows(&[(zoo_registry::Kind::Encoder, "pair".to_owned())]);
    let problem = judgement.problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
    assert!(problem.contains("vectors of 20 numbers, and images of 24"), "{problem}");
}
