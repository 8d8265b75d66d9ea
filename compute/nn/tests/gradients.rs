//! Gradients of whole networks against PyTorch's (`golden/gradients.py`), on any number of threads, with blocks that are
//! kept and computed a second time, in either precision.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};
use zoo_core::weights::{Layout, TensorSource, Weights};
use zoo_core::{CallContext, Encoder, FeatureRequest, LanguageModel, Spec, Trainable};
use zoo_nn::autograd::backward;
use zoo_nn::convnext::{ConvNeXt, ConvNeXtConfig};
use zoo_nn::decoder::{Decoder, DecoderConfig, DecoderStyle};
use zoo_nn::vit::{ViT, ViTConfig, ViTStyle};

type Tensors = BTreeMap<String, Tensor>;

static PLAIN: [Layout; 1] =
    [Layout { name: "timm", prefixes: &[""], marker: "", map: |name| TensorSource::key(name), ignored: &[] }];

fn golden() -> Tensors {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/gradients.safetensors");
    candle_core::safetensors::load(file, &Device::Cpu).unwrap().into_iter().collect()
}

/// What is under a name, without it.
fn under(tensors: &Tensors, name: &str) -> Tensors {
    let part = |(key, value): (&String, &Tensor)| Some((key.strip_prefix(name)?.to_owned(), value.clone()));
    tensors.iter().filter_map(part).collect()
}

fn spec(arch: Value) -> Spec {
    serde_json::from_value(json!({"id": "tiny", "architecture": "tiny", "arch": arch})).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn vit(weights: &Weights) -> Box<dyn Encoder> {
    let arch = json!({"embed_dim": 24, "depth": 2, "num_heads": 3, "mlp_dim": 48, "patch_size": 4, "image_size": 20,
        "layer_scale": true});
    let config = ViTConfig::from_spec(&spec(arch), ViTStyle::PLAIN).unwrap();
    Box::new(ViT::open("tiny", config, &PLAIN, weights, &Device::Cpu).unwrap())
}

fn convnext(weights: &Weights) -> Box<dyn Encoder> {
    let arch = json!({"depths": [1, 1, 1, 1], "dims": [8, 12, 12, 20], "image_size": 64});
    let config: ConvNeXtConfig = spec(arch).arch().unwrap();
    Box::new(ConvNeXt::open("tiny", config, &PLAIN, weights, &Device::Cpu).unwrap())
}

/// The gradients of a model's parameters, and what else there is one of.
type Gradients = Box<dyn Fn(DType) -> Tensors + Send + Sync>;

fn of_encoder(name: &'static str, open: fn(&Weights) -> Box<dyn Encoder>, norm: bool) -> Gradients {
    Box::new(move |dtype| {
        let golden = under(&golden(), &format!("{name}."));
        let weights = Weights::tensors(
            under(&golden, "weight.")
                .into_iter()
                // What comes after the features.
                .filter(|(key, _)| !key.starts_with("head."))
                .map(|(k, v)| (k, v.to_dtype(dtype).unwrap()))
                .collect(),
            dtype,
        );
        let encoder = open(&weights.trainable(true));
        let door = encoder.differentiable().unwrap();
        let names: Vec<String> =
            under(&golden, "gradient.").into_keys().filter(|key| key != "pixels").collect();
        let request = FeatureRequest::layer(-1, norm);
        let (pixels, cotangent) = (&golden["pixels"], &golden["cotangent"]);
        let (of_pixels, gradients) = door
            .vjp(&pixels.to_dtype(dtype).unwrap(), &request, std::slice::from_ref(cotangent), &names)
            .unwrap();
        names.into_iter().zip(gradients).chain([("pixels".to_owned(), of_pixels)]).collect()
    })
}

fn of_llama() -> Gradients {
    Box::new(|dtype| {
        let golden = under(&golden(), "llama.");
        let config = DecoderConfig::from_spec(
            &spec(json!({"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2,
                "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50,
                "max_position_embeddings": 64, "rms_norm_eps": 1e-5})),
            DecoderStyle::LLAMA,
        );
        let weights = Weights::tensors(
            under(&golden, "weight.").into_iter().map(|(k, v)| (k, v.to_dtype(dtype).unwrap())).collect(),
            dtype,
        );
        let model = Decoder::open("tiny", config.unwrap(), &weights.trainable(true), &Device::Cpu).unwrap();
        let ids = golden["ids"].to_vec1::<i64>().unwrap();
        let lengths = [11usize, 19];
        let row: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
        let positions: Vec<u32> = lengths.iter().flat_map(|&length| 0..length as u32).collect();
        let table = |row: Vec<u32>| Tensor::from_vec(row, (1, 30), &Device::Cpu).unwrap();
        let embedded = model.embed(&table(row.clone())).unwrap();
        let hidden = model.layers(0..2, &embedded, &table(positions), &mut model.packed(1).unwrap()).unwrap();
        let asked: Vec<u32> = (0..30).filter(|i| ![10, 29].contains(i)).collect();
        let targets: Vec<u32> = asked.iter().map(|&i| row[i as usize + 1]).collect();
        let asked = Tensor::new(asked, &Device::Cpu).unwrap();
        let hidden = hidden.squeeze(0).unwrap().index_select(&asked, 0).unwrap().unsqueeze(0).unwrap();
        let loss = model.loss(&hidden, &Tensor::new(targets, &Device::Cpu).unwrap()).unwrap();
        let (got, want) = (numbers(&loss)[0], numbers(&golden["loss"])[0]);
        assert!(
            (got - want).abs() < if dtype == DType::F32 { 1e-5 } else { 3e-2 } * want,
            "{got}, torch {want}"
        );
        let gradients = backward(&loss).unwrap();
        let variables = model.trainable().map(Trainable::variables).unwrap();
        variables.iter().map(|(key, var)| (key.clone(), gradients.get(var).unwrap().clone())).collect()
    })
}

fn check(name: &str, run: &Gradients) {
    let want = under(&golden(), &format!("{name}.gradient."));
    let exact = run(DType::F32);
    assert_eq!(exact.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{name}");
    let mut worst = 0f64;
    for (key, want) in &want {
        let (got, want) = (numbers(&exact[key]), numbers(want));
        let size = (want.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / want.len() as f64).sqrt();
        for (got, want) in got.iter().zip(&want) {
            worst = worst.max(f64::from((got - want).abs()) / size);
        }
        assert!(worst < 1e-4, "{name}, {key}: {worst:.1e} of its size from torch's");
    }
    println!("{name}: gradients within {worst:.1e} of their size from torch's");
    let same = |what: &str, other: &Tensors| {
        for (key, one) in &exact {
            assert!(numbers(one) == numbers(&other[key]), "{name}, {key}: other bits {what}");
        }
    };
    same("the second time", &run(DType::F32));
    same("with blocks computed twice", &CallContext::new().recomputing(true).scope(|| run(DType::F32)));
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        same(&format!("on {threads} threads"), &pool.install(|| run(DType::F32)));
    }
    for (key, half) in run(DType::BF16) {
        let (a, b) = (numbers(&half), numbers(&exact[&key]));
        let dot = |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum() };
        let cosine = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
        // A bias of keys adds the same to all scores of a query, and its gradient is rounding.
        assert!(cosine > 0.99, "{name}, {key}: cosine {cosine} in half precision");
    }
}

#[test]
fn vits_are_those_of_timm() {
    check("vit", &of_encoder("vit", vit, true));
}

#[test]
fn convnexts_are_those_of_timm() {
    check("convnext", &of_encoder("convnext", convnext, false));
}

#[test]
fn llamas_are_those_of_transformers() {
    check("llama", &of_llama());
}
