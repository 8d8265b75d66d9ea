//! Agreement with the reference implementations, in values and in the tensors of full-size checkpoints.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::Weights;
use zoo_core::{CallOptions, Error, FeatureRequest, Precision, Spec};
use zoo_tests::golden;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    golden::check(&zoo_sd_unet::PLUGIN, GOLDEN);
}

#[test]
fn manifests() {
    zoo_tests::manifest::check(&zoo_sd_unet::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    golden::check_half(&zoo_sd_unet::PLUGIN, GOLDEN);
}

fn small() -> Box<dyn zoo_core::Encoder> {
    let case = std::fs::read_to_string(format!("{GOLDEN}/sd.json")).unwrap();
    let case: serde_json::Value = serde_json::from_str(&case).unwrap();
    let spec = Spec {
        id: "small".into(),
        architecture: "sd-unet".into(),
        arch: case["arch"].as_object().unwrap().clone(),
        precision: Precision::F32,
    };
    let weights = Weights::open(&[format!("{GOLDEN}/pipeline").into()], DType::F32).unwrap();
    zoo_sd_unet::load(&spec, &weights, &Device::Cpu).unwrap()
}

/// The noise of nobody is the same for every image, and the step of nobody is that of Cambrian-1.
#[test]
fn options_have_fixed_defaults_and_limits() {
    let tower = small();
    let pixels =
        Tensor::arange(0f32, 3.0 * 64.0 * 64.0, &Device::Cpu).unwrap().reshape((1, 3, 64, 64)).unwrap();
    let pixels = pixels.affine(1.0 / 6144.0, -1.0).unwrap();
    let see = |pixels: &Tensor, options: &CallOptions| {
        let maps = tower.forward_with(pixels, &FeatureRequest::layer(0, false), options)?;
        Ok::<Vec<f32>, Error>(maps[0].tokens.flatten_all()?.to_vec1()?)
    };
    let mut options = CallOptions::default();
    let plain = see(&pixels, &options).unwrap();
    let twice = see(&Tensor::cat(&[&pixels, &pixels], 0).unwrap(), &options).unwrap();
    assert_eq!(twice, [plain.clone(), plain.clone()].concat());
    options.set("step", "250");
    assert_eq!(see(&pixels, &options).unwrap(), plain);
    options.set("step", "0");
    assert_ne!(see(&pixels, &options).unwrap(), plain);
    for (step, noise, part) in [
        ("1000", None, "0..=999"),
        ("1", Some([1usize, 4, 8, 9]), "must be [1, 4, 8, 8]"),
        ("1", Some([2, 4, 8, 8]), "must be [1, 4, 8, 8]"),
    ] {
        let mut options = CallOptions::default();
        options.set("step", step);
        if let Some(shape) = noise {
            options.put("noise", Tensor::zeros(&shape[..], DType::F32, &Device::Cpu).unwrap());
        }
        let message = see(&pixels, &options).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}
