//! The shared ViT: layers, sizes, gradients. Values are compared with reference implementations in the plugins.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use zoo_core::weights::{Layout, TensorSource, Weights};
use zoo_core::{CallContext, Encoder, Error, FeatureRequest, Grid, Layers, Spec};
use zoo_nn::encoder::Trunk;
use zoo_nn::vit::{ViT, ViTAct, ViTConfig, ViTStyle, VisionTransformer};
use zoo_tests::noise::{self, normal};

const STYLE: ViTStyle =
    ViTStyle { act: ViTAct::Swiglu, pre_norm: true, registers: 2, layer_scale: true, ..ViTStyle::PLAIN };

/// Keeps q, k and v apart, so that a trainable model is assembled from parts.
static SPLIT: [Layout; 1] = [Layout {
    name: "split",
    prefixes: &["tower."],
    marker: "cls_token",
    map: |name| match name.split_once("qkv") {
        Some((before, after)) => TensorSource::concat(["q", "k", "v"].map(|p| format!("{before}{p}{after}"))),
        None => TensorSource::key(name),
    },
    ignored: &[],
}];

fn spec(extra: &[(&str, serde_json::Value)]) -> Spec {
    let mut arch = serde_json::json!({
        "embed_dim": 8, "depth": 3, "num_heads": 2, "mlp_dim": 12, "patch_size": 4, "image_size": 12
    });
    for (key, value) in extra {
        arch[key] = value.clone();
    }
    serde_json::from_value(serde_json::json!({"id": "tiny", "architecture": "vit", "arch": arch})).unwrap()
}

/// Random weights for whatever a configuration asks for.
fn tensors(spec: &Spec) -> BTreeMap<String, Tensor> {
    let recorder = Weights::record(DType::F32);
    let config = ViTConfig::from_spec(spec, STYLE).unwrap();
    ViT::open(&spec.id, config, &SPLIT, &recorder, &Device::Cpu).unwrap();
    noise::weights(recorder.manifest())
}

fn open_with(spec: &Spec, tensors: BTreeMap<String, Tensor>, trainable: bool) -> ViT {
    let config = ViTConfig::from_spec(spec, STYLE).unwrap();
    let weights = Weights::tensors(tensors, DType::F32).trainable(trainable);
    ViT::open(&spec.id, config, &SPLIT, &weights, &Device::Cpu).unwrap()
}

fn open(extra: &[(&str, serde_json::Value)], trainable: bool) -> ViT {
    let spec = spec(extra);
    open_with(&spec, tensors(&spec), trainable)
}

fn pixels(batch: usize, height: usize, width: usize) -> Tensor {
    normal(&[batch, 3, height, width], 99)
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    values(a).iter().zip(values(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn indices(indices: &[i32]) -> FeatureRequest {
    FeatureRequest { layers: Layers::Indices(indices.to_vec()), norm: false, prefix: true }
}

#[test]
fn layers_come_in_the_order_asked_for() {
    let vit = open(&[], false);
    let x = pixels(1, 12, 12);
    let all = vit.forward(&x, &FeatureRequest { layers: Layers::All, norm: false, prefix: true }).unwrap();
    assert_eq!(all.iter().map(|m| m.layer).collect::<Vec<_>>(), [0, 1, 2]);
    let some = vit.forward(&x, &indices(&[-1, 0, -1])).unwrap();
    assert_eq!(some.iter().map(|m| m.layer).collect::<Vec<_>>(), [2, 0, 2]);
    assert_eq!(values(&some[1].tokens), values(&all[0].tokens));
    assert_eq!(all[0].tokens.dims(), [1, 9, 8]);
    assert_eq!(all[0].prefix.as_ref().unwrap().dims(), [1, 3, 8]);
    assert!(vit.forward(&x, &indices(&[3])).unwrap_err().to_string().contains("3 layers"));
}

#[test]
fn blocks_after_the_last_requested_one_do_not_run() {
    let spec = spec(&[]);
    let mut tensors = tensors(&spec);
    let poison = tensors.get_mut("tower.blocks.2.norm1.bias").unwrap();
    *poison = (poison.zeros_like().unwrap() + f64::NAN).unwrap();
    let vit = open_with(&spec, tensors, false);
    let x = pixels(1, 12, 12);
    let map = |layer: i32| vit.forward(&x, &indices(&[layer])).unwrap().remove(0);
    assert!(values(&map(-2).tokens).iter().all(|v| v.is_finite()));
    assert!(values(&map(-1).tokens).iter().all(|v| v.is_nan()));
}

/// More images than go through the network at once.
#[test]
fn images_come_out_the_same_in_every_group() {
    let numbers = [("depth", 1.into()), ("embed_dim", 64.into()), ("image_size", 56.into())];
    let (vit, batch) = (open(&numbers, false), 300);
    let config = ViTConfig::from_spec(&spec(&numbers), STYLE).unwrap();
    let at_once = VisionTransformer::cost(&config, DType::F32, batch, 56, 56).activation_bytes;
    assert!(vit.cost(batch, 56, 56).activation_bytes < at_once, "they went through at once");
    let x = pixels(batch, 56, 56);
    let all = vit.forward(&x, &indices(&[-1])).unwrap().remove(0);
    assert_eq!((all.tokens.dims(), all.grid), (&[batch, 196, 64][..], Grid::square(14)));
    for i in [0, 1, 99, 149, 150, 151, 199, 200, 298, 299] {
        let one = vit.forward(&x.narrow(0, i, 1).unwrap(), &indices(&[-1])).unwrap().remove(0);
        assert_eq!(values(&one.tokens), values(&all.tokens.narrow(0, i, 1).unwrap()), "image {i}");
        let prefix = all.prefix.as_ref().unwrap().narrow(0, i, 1).unwrap();
        assert_eq!(values(one.prefix.as_ref().unwrap()), values(&prefix), "prefix of image {i}");
    }
}

#[test]
fn sizes_and_inputs_that_cannot_work_are_refused() {
    let message = |vit: &ViT, x: &Tensor| match vit.forward(x, &indices(&[0])) {
        Err(Error::InvalidInput(message)) => message,
        other => panic!("{other:?}"),
    };
    let fixed = open(&[("pos_mode", "native".into())], false);
    assert!(message(&fixed, &pixels(1, 16, 12)).contains("only 12×12 does"));
    let any = open(&[], false);
    assert!(message(&any, &pixels(1, 3, 12)).contains("at least 4"));
    assert!(message(&any, &normal(&[1, 4, 12, 12], 1)).contains("[B, 3, H, W]"));
    let bytes = Tensor::zeros((1, 3, 12, 12), DType::U8, &Device::Cpu).unwrap();
    assert!(message(&any, &bytes).contains("normalised floats"));
    // 15 × 9: the last three rows and the last column are not seen.
    assert_eq!(any.forward(&pixels(1, 15, 9), &indices(&[0])).unwrap()[0].grid, Grid { h: 3, w: 2 });
}

#[test]
fn numbers_that_do_not_fit_name_the_key() {
    let message = |key: &str, value: i64| {
        ViTConfig::from_spec(&spec(&[(key, value.into())]), STYLE).unwrap_err().to_string()
    };
    assert!(message("num_heads", 3).contains("`embed_dim` = 8 is no multiple of `num_heads` = 3"));
    assert!(message("depth", 0).contains("`depth` must not be 0"));
    assert!(message("image_size", 3).contains("smaller than `patch_size`"));
    let unknown = message("embed_dims", 8);
    assert!(unknown.contains("`embed_dims`") && unknown.contains("`embed_dim`"), "{unknown}");
}

/// `Σ ⟨map, cotangent⟩` in f64.
fn objective(vit: &ViT, x: &Tensor, request: &FeatureRequest, cotangents: &[Tensor]) -> f64 {
    let maps = vit.forward(x, request).unwrap();
    let dot = |(map, c): (&zoo_core::FeatureMap, &Tensor)| -> f64 {
        values(&map.tokens).iter().zip(values(c)).map(|(a, b)| f64::from(*a) * f64::from(b)).sum()
    };
    maps.iter().zip(cotangents).map(dot).sum()
}

#[test]
fn gradients_agree_with_finite_differences() {
    let vit = open(&[], true);
    let door = vit.differentiable().unwrap();
    // Off the native size, so that the gradient of the position table runs through its resampling.
    let x = pixels(1, 16, 12);
    let request = FeatureRequest { layers: Layers::Indices(vec![-1, 0]), norm: true, prefix: false };
    let cotangents = [normal(&[1, 12, 8], 5), normal(&[1, 12, 8], 6)];
    let names: Vec<String> = [
        "pos_embed",
        "cls_token",
        "patch_embed.proj.weight",
        "norm_pre.weight",
        "blocks.0.attn.k.weight",
        "blocks.1.ls1.gamma",
        "blocks.2.mlp.w12.weight",
        "norm.bias",
    ]
    .map(|n| format!("tower.{n}"))
    .to_vec();
    let (pixel_gradient, gradients) = door.vjp(&x, &request, &cotangents, &names).unwrap();
    // Blocks that are computed a second time say the same, bit by bit.
    let (same_pixels, same) =
        CallContext::new().recomputing(true).scope(|| door.vjp(&x, &request, &cotangents, &names)).unwrap();
    assert_eq!(values(&same_pixels), values(&pixel_gradient));
    for ((name, a), b) in names.iter().zip(&same).zip(&gradients) {
        assert_eq!(values(a), values(b), "{name}");
    }

    let check = |what: &str, gradient: &Tensor, eval: &mut dyn FnMut(&Tensor) -> f64, at: &Tensor| {
        assert_eq!(gradient.dims(), at.dims(), "{what}");
        let direction = normal(at.dims(), 7);
        let step = 5e-3;
        let moved = |sign: f64| (at + (&direction * (sign * step)).unwrap()).unwrap();
        let measured = (eval(&moved(1.0)) - eval(&moved(-1.0))) / (2.0 * step);
        let expected: f64 =
            values(gradient).iter().zip(values(&direction)).map(|(a, b)| f64::from(*a) * f64::from(b)).sum();
        let scale =
            expected.abs().max(values(gradient).iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt());
        assert!(
            (measured - expected).abs() < 1e-2 * scale,
            "{what}: {measured} measured, {expected} computed"
        );
        assert!(scale > 1e-4, "{what}: the gradient vanishes");
    };
    check("pixels", &pixel_gradient, &mut |x| objective(&vit, x, &request, &cotangents), &x);
    for (name, gradient) in names.iter().zip(&gradients) {
        let value = door.parameter(name).unwrap();
        let mut eval = |moved: &Tensor| {
            door.set_parameter(name, moved).unwrap();
            objective(&vit, &x, &request, &cotangents)
        };
        check(name, gradient, &mut eval, &value);
        door.set_parameter(name, &value).unwrap();
    }
}

#[test]
fn parameters_have_their_published_names_and_shapes() {
    let vit = open(&[], true);
    let door = vit.differentiable().unwrap();
    let names = door.parameter_names();
    assert!(names.contains(&"tower.blocks.0.attn.q.weight".to_owned()));
    let total: usize = names.iter().map(|n| door.parameter(n).unwrap().elem_count()).sum();
    assert_eq!(total as u64, vit.descriptor().parameters);
    let misfit = door.set_parameter("tower.cls_token", &normal(&[8], 1)).unwrap_err().to_string();
    assert!(misfit.contains("tower.cls_token") && misfit.contains("[1, 1, 8]"), "{misfit}");
    assert!(
        door.parameter("nonsense").unwrap_err().to_string().contains("no trainable parameter `nonsense`")
    );
}

#[test]
fn frozen_encoders_still_give_gradients_of_pixels() {
    let vit = open(&[], false);
    let door = vit.differentiable().unwrap();
    let (x, request) = (pixels(1, 12, 12), FeatureRequest::layer(-1, true));
    let (gradient, none) = door.vjp(&x, &request, &[normal(&[1, 9, 8], 5)], &[]).unwrap();
    assert!(none.is_empty() && door.parameter_names().is_empty());
    assert!(values(&gradient).iter().any(|g| g.abs() > 1e-6));
    let refused = door.vjp(&x, &request, &[normal(&[1, 9, 8], 5)], &["tower.cls_token".to_owned()]);
    assert!(refused.unwrap_err().to_string().contains("not opened trainable"));
    let misfit = door.vjp(&x, &request, &[normal(&[1, 8, 8], 5)], &[]).unwrap_err().to_string();
    assert!(misfit.contains("cotangent 0"), "{misfit}");
}

/// Kernels where nothing is tracked, candle where the pixels are.
#[track_caller]
fn check_both_paths(what: &str, extra: &[(&str, serde_json::Value)], side: usize) {
    let spec = spec(extra);
    let config = ViTConfig::from_spec(&spec, STYLE).unwrap();
    let params = Weights::tensors(tensors(&spec), DType::F32).params(&SPLIT, &Device::Cpu).unwrap();
    let trunk = VisionTransformer::load(&params, &config).unwrap();
    let pixels = normal(&[2, 3, side, side], 7);
    let request = FeatureRequest { layers: Layers::Indices(vec![0, -1]), norm: true, prefix: true };
    let plain = trunk.forward(Var::from_tensor(&pixels).unwrap().as_tensor(), &request).unwrap();
    let fused = trunk.forward(&pixels, &request).unwrap();
    for (plain, fused) in plain.iter().zip(&fused) {
        assert!(plain.tokens.track_op() && !fused.tokens.track_op());
        let error = largest_difference(&plain.tokens.detach(), &fused.tokens);
        let power: f32 = values(&plain.tokens).iter().map(|x| x * x).sum();
        let rms = (power / plain.tokens.elem_count() as f32).sqrt();
        assert!(error <= 1e-4 * rms, "{what}, layer {}: off by {error} of {rms}", plain.layer);
    }
}

#[test]
fn both_paths_agree() {
    for act in ["swiglu", "gelu_erf", "quick_gelu"] {
        // 147 tokens: more than one block of keys; heads of 24 channels: no whole tile.
        check_both_paths(
            act,
            &[("act", act.into()), ("embed_dim", 48.into()), ("image_size", 48.into())],
            48,
        );
    }
}

#[test]
fn both_paths_agree_where_candles_attention_goes_in_turns() {
    // 2 images · 2 heads · 2116² scores are more than what is held at a time.
    check_both_paths("turns", &[("depth", 1.into())], 46 * 4);
}
