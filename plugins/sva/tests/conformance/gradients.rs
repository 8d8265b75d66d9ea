//! candle's backward pass against central differences.

use candle_core::{DType, Tensor, Var};
use serde_json::{Value, json};
use zoo_core::{Cells, Connector, Spec};

use crate::common::{Tensors, inputs, load, noise, spec, tensors};

/// A number that everything takes part in: fused tokens, a block with newlines, refined cells.
fn loss(spec: &Spec, tensors: &Tensors) -> Tensor {
    let sva = load(spec, tensors);
    let fused = sva.forward(&inputs(spec, &[(640, 300), (300, 300)])).unwrap();
    let mut parts = vec![fused.tokens.clone(), sva.block(&fused, 0).unwrap().tokens];
    for step in 0..sva.descriptor().refine_after.len() {
        let grid = sva.block(&fused, 0).unwrap().grid;
        let hidden = noise(&[grid.cells(), 12], 77);
        parts.push(sva.refine(step, &Cells { hidden, grid, row: 0 }, &fused).unwrap());
    }
    let weighted = parts.iter().enumerate().map(|(i, part)| {
        let weights = noise(part.dims(), 300 + i as u64);
        (part * weights).unwrap().to_dtype(DType::F64).unwrap().sum_all().unwrap()
    });
    weighted.reduce(|a, b| (a + b).unwrap()).unwrap()
}

fn check(change: Value, names: &[&str]) {
    let spec = spec(change);
    let tensors = tensors(&spec);
    for (seed, name) in names.iter().enumerate() {
        let key = format!("model.{name}");
        let value = tensors.get(&key).unwrap_or_else(|| panic!("there is no {key}"));
        let direction = noise(value.dims(), 500 + seed as u64);
        let var = Var::from_tensor(value).unwrap();
        let mut tracked = tensors.clone();
        tracked.insert(key.clone(), var.as_tensor().clone());
        let gradients = loss(&spec, &tracked).backward().unwrap();
        let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{name} got no gradient"));
        let slope: f32 = (gradient * &direction).unwrap().sum_all().unwrap().to_scalar().unwrap();
        let at = |step: f64| -> f64 {
            let mut moved = tensors.clone();
            moved.insert(key.clone(), (value + (&direction * step).unwrap()).unwrap());
            loss(&spec, &moved).to_scalar().unwrap()
        };
        let step = 2e-3;
        let measured = (at(step) - at(-step)) / (2.0 * step);
        let slope = f64::from(slope);
        assert!(measured.abs() > 1e-2, "{name}: a slope of {measured} measures nothing");
        assert!(
            (slope - measured).abs() < 0.01 * measured.abs() + 0.01,
            "{name}: {slope}, measured {measured}"
        );
    }
}

#[test]
fn joint_layers_and_layers_inside() {
    check(
        json!({"connector_depth": 2, "connector_only": false, "num_of_vision_sampler_layers": 1}),
        &[
            "vision_query",
            "image_newline",
            "mm_projector.0.weight",
            "mm_projector_aux_0.0.weight",
            "mm_projector_aux_1.3.weight",
            "vision_sampler_0.layers.0.pos_embed_1",
            "vision_sampler_0.layers.0.proj_context.weight",
            "vision_sampler_0.layers.0.cross_attn.q_proj.1.weight",
            "vision_sampler_0.layers.1.cross_attn.k_proj_1.0.weight",
            "vision_sampler_0.layers.1.cross_attn.v_proj_0.1.weight",
            "vision_sampler_0.layers.1.norm.bias",
            "vision_sampler_layers.0.layers.0.proj_in.weight",
            "vision_sampler_layers.0.layers.0.cross_attn.k_proj_1.1.weight",
        ],
    );
}

#[test]
fn separate_layers_and_groups() {
    check(
        json!({"layer_type": "sep", "query_num_list": [4, 16]}),
        &[
            "vision_query",
            "mm_projector_aux_0.2.bias",
            "vision_sampler_0.layers.0.weight_mlp.linear_1.weight",
            "vision_sampler_0.layers.0.aggregate_0.attention_layer.v_proj.1.weight",
            "vision_sampler_1.layers.0.aggregate_0.attention_layer.linear_2.weight",
            "vision_sampler_1.layers.0.aggregate_1.attention_layer.o_proj.weight",
        ],
    );
}
