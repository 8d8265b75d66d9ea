//! Agreement with timm, in values and in the tensors of full-size checkpoints.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::Weights;
use zoo_core::{Encoder, FeatureRequest, Layers, Precision, Spec};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

#[test]
fn parity() {
    zoo_tests::golden::check(&zoo_convnext::PLUGIN, GOLDEN);
}

#[test]
fn half_precision() {
    zoo_tests::golden::check_half(&zoo_convnext::PLUGIN, GOLDEN);
}

#[test]
fn manifests() {
    zoo_tests::manifest::check(&zoo_convnext::PLUGIN, GOLDEN);
}

/// The tower of a golden case, with these architecture numbers.
fn tower(file: &str, arch: serde_json::Value, trainable: bool) -> zoo_core::Result<Box<dyn Encoder>> {
    let spec = Spec {
        id: "small".into(),
        architecture: "convnext".into(),
        arch: arch.as_object().unwrap().clone(),
        precision: Precision::F32,
    };
    let weights = Weights::open(&[format!("{GOLDEN}/{file}").into()], DType::F32).unwrap();
    zoo_convnext::load(&spec, &weights.trainable(trainable), &Device::Cpu)
}

fn small() -> serde_json::Value {
    serde_json::json!({"depths": [1, 2, 2, 1], "dims": [10, 24, 36, 56], "image_size": 64})
}

#[test]
fn wrong_numbers_and_sizes_are_explained() {
    let message = |arch| tower("timm.safetensors", arch, false).err().unwrap().to_string();
    let mut arch = small();
    arch["dims"] = serde_json::json!([10, 24, 36, 64]);
    let text = message(arch);
    assert!(text.contains("stages.3.downsample.1.weight"), "{text}");
    let mut arch = small();
    arch["depth"] = serde_json::json!([1, 2, 2, 1]);
    let text = message(arch);
    assert!(text.contains("unknown field `depth`") && text.contains("`depths`"), "{text}");
    let mut arch = small();
    arch["depths"] = serde_json::json!([1, 2, 1, 1]);
    let text = message(arch);
    assert!(text.contains("not expected") && text.contains("stages.2.blocks.1.gamma"), "{text}");

    let tower = tower("timm.safetensors", small(), false).unwrap();
    let pixels = Tensor::zeros((1, 3, 64, 80), DType::F32, &Device::Cpu).unwrap();
    let text = tower.forward(&pixels, &FeatureRequest::layer(-1, false)).err().unwrap().to_string();
    assert_eq!(text, "small: 64×80 pixels do not work; height and width must be multiples of 32");
}

/// `Σ ⟨map, cotangent⟩` is linear in the last bias of the last block, so its gradient is a column sum; and the
/// gradient of the pixels predicts what a small step along it does.
#[test]
fn gradients() {
    let tower = tower("open-clip.safetensors", small(), true).unwrap();
    let door = tower.differentiable().unwrap();
    let noise = |i: usize| ((i * 7919 % 1013) as f32 / 506.0) - 1.0;
    let pixels: Vec<f32> = (0..3 * 32 * 64).map(noise).collect();
    let pixels = Tensor::from_vec(pixels, (1, 3, 32, 64), &Device::Cpu).unwrap();
    let request = FeatureRequest { layers: Layers::Indices(vec![1, -1]), norm: false, prefix: false };
    let cotangents: Vec<Tensor> = tower
        .forward(&pixels, &request)
        .unwrap()
        .iter()
        .map(|map| {
            let values: Vec<f32> = (0..map.tokens.elem_count()).map(|i| noise(i + 5) * 0.1).collect();
            Tensor::from_vec(values, map.tokens.dims(), &Device::Cpu).unwrap()
        })
        .collect();
    let bias = "visual.trunk.stages.3.blocks.0.mlp.fc2.bias".to_owned();
    let gamma = door.parameter("visual.trunk.stages.3.blocks.0.gamma").unwrap();
    let (to_pixels, to_bias) = door.vjp(&pixels, &request, &cotangents, std::slice::from_ref(&bias)).unwrap();

    let expected = (cotangents[1].sum((0, 1)).unwrap() * gamma).unwrap();
    let gap = (&to_bias[0] - expected).unwrap().abs().unwrap().max_all().unwrap();
    assert!(gap.to_scalar::<f32>().unwrap() < 1e-5);

    let objective = |pixels: &Tensor| -> f64 {
        let maps = tower.forward(pixels, &request).unwrap();
        maps.iter()
            .zip(&cotangents)
            .map(|(map, c)| {
                let products =
                    (map.tokens.to_dtype(DType::F64).unwrap() * c.to_dtype(DType::F64).unwrap()).unwrap();
                products.sum_all().unwrap().to_scalar::<f64>().unwrap()
            })
            .sum()
    };
    let square = to_pixels.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    let step = (to_pixels / f64::from(square)).unwrap();
    let at = |t: f64| objective(&(&pixels + (&step * t).unwrap()).unwrap());
    let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
    assert!((slope - 1.0).abs() < 1e-2, "slope {slope}");
}
