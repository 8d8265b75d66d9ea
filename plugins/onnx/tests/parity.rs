//! Agreement with what torch makes of the same networks, and what is said when a row and a file do not fit.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use zoo_core::weights::Weights;
use zoo_core::{Encoder, FeatureRequest, Layers, Precision, Spec};
use zoo_tests::golden;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    golden::check(&zoo_onnx::PLUGIN, GOLDEN);
}

/// A graph computes in its own types: only the result is rounded.
#[test]
fn half_precision() {
    golden::check_half(&zoo_onnx::PLUGIN, GOLDEN);
}

fn open(file: &str, arch: Value) -> zoo_core::Result<Box<dyn Encoder>> {
    let spec = Spec {
        id: "mine".into(),
        architecture: "onnx".into(),
        arch: arch.as_object().unwrap().clone(),
        precision: Precision::F32,
    };
    let weights = Weights::open(&[format!("{GOLDEN}/{file}").into()], DType::F32)?;
    zoo_onnx::load(&spec, &weights, &Device::Cpu)
}

fn maps(name: &str, channels: usize) -> Value {
    json!({"image_size": 32, "multiple_of": 4,
        "outputs": [{"name": name, "channels": channels, "stride": 4}]})
}

#[track_caller]
fn refused(file: &str, arch: Value, part: &str) {
    let text = match open(file, arch) {
        Err(error) => error.to_string(),
        Ok(encoder) => {
            let side = encoder.descriptor().native;
            let pixels = Tensor::zeros((1, 3, side, side), DType::F32, &Device::Cpu).unwrap();
            encoder.forward(&pixels, &FeatureRequest::layer(0, false)).unwrap_err().to_string()
        }
    };
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_row_that_does_not_fit_is_explained() {
    refused("maps.onnx", maps("third", 12), "no output `third`; it has `first`, `second`");
    refused("maps.onnx", maps("second", 13), "output `second` is [1, 12, 8, 8]");
    refused("maps.onnx", maps("second", 0), "`channels` = 0");
    let mut arch = maps("second", 12);
    arch["input"] = "images".into();
    refused("maps.onnx", arch, "no input `images`; it has `pixels`");
    let mut arch = maps("second", 12);
    arch["prefix"] = json!(["cls"]);
    refused("maps.onnx", arch, "no place for `prefix`");
    let mut arch = json!({"image_size": 32, "pixels": "nhwc",
        "outputs": [{"name": "tokens", "channels": 24, "stride": 7, "layout": "tokens"}]});
    refused("tokens.onnx", arch.clone(), "images of 28×28 pixels, and `image_size` is 32");
    arch["image_size"] = 28.into();
    refused("tokens.onnx", arch.clone(), "output `tokens` is [1, 17, 24]");
    arch["parameters"] = 5.into();
    refused("tokens.onnx", arch, "and `parameters` is 5");
    refused("maps.data.safetensors", maps("second", 12), "0 files end in .onnx");
}

/// An image gives the same bits alone, and layers come as often and in the order in which they are asked for.
#[test]
fn images_and_layers_stay_apart() {
    let arch = json!({"image_size": 32, "multiple_of": 4, "outputs": [
        {"name": "first", "channels": 18, "stride": 2}, {"name": "second", "channels": 12, "stride": 4}]});
    let encoder = open("maps.onnx", arch).unwrap();
    let pixels = Tensor::arange(0f32, 2.0 * 3.0 * 32.0 * 40.0, &Device::Cpu).unwrap();
    let pixels = (pixels.reshape((2, 3, 32, 40)).unwrap() / 4000.0).unwrap();
    let see = |pixels: &Tensor, layers: Vec<i32>| {
        let request = FeatureRequest { layers: Layers::Indices(layers), norm: false, prefix: false };
        encoder.forward(pixels, &request).unwrap()
    };
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let all = see(&pixels, vec![1, 0, -1]);
    assert_eq!(all.iter().map(|map| map.layer).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(values(&all[0].tokens), values(&all[2].tokens));
    let alone = see(&pixels.narrow(0, 1, 1).unwrap(), vec![0]);
    assert_eq!(values(&alone[0].tokens), values(&all[1].tokens.narrow(0, 1, 1).unwrap()));
    assert_eq!(alone[0].tokens.dims(), [1, 16 * 20, 18]);
}
