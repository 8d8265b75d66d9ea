//! The connectors of the released models, from their numbers alone.

use std::collections::BTreeMap;

use candle_core::{DType, Device};
use serde_json::json;
use zoo_core::weights::Weights;
use zoo_core::{Connector, Spec};
use zoo_sva::Sva;

const WIDTH: usize = 1024;

struct Model {
    hidden: usize,
    inside: usize,
    stride: usize,
    tensors: usize,
    parameters: u64,
}

/// 8B, 13B, 34B and Phi-3; parameters as in the models' Hub metadata less those of their language models.
const MODELS: [Model; 4] = [
    Model { hidden: 4096, inside: 10, stride: 3, tensors: 485, parameters: 302_760_960 },
    Model { hidden: 5120, inside: 10, stride: 4, tensors: 485, parameters: 334_221_312 },
    Model { hidden: 7168, inside: 9, stride: 7, tensors: 450, parameters: 375_085_056 },
    Model { hidden: 3072, inside: 10, stride: 3, tensors: 485, parameters: 273_397_760 },
];

fn spec(model: &Model) -> Spec {
    let arch = json!({
        "vision_hidden_size": WIDTH, "inputs": [1152, 1024, 1536, 5760], "token_lens": [576, 576, 576, 9216],
        "output": model.hidden, "image_token_len": 576, "query_num_list": [576], "connector_depth": 3,
        "connector_only": false, "num_of_vision_sampler_layers": model.inside,
        "start_of_vision_sampler_layers": 0, "stride_of_vision_sampler_layers": model.stride
    });
    let arch = arch.as_object().unwrap().clone();
    Spec { id: "released".into(), architecture: "sva".into(), arch, precision: Default::default() }
}

/// The published keys and shapes.
fn expected(model: &Model) -> BTreeMap<String, Vec<usize>> {
    let (c, h) = (WIDTH, model.hidden);
    let mut keys = BTreeMap::new();
    let mut add = |key: String, shape: &[usize]| {
        assert!(keys.insert(format!("model.{key}"), shape.to_vec()).is_none());
    };
    for (layer, inputs) in [(0, c), (2, h)] {
        add(format!("mm_projector.{layer}.weight"), &[h, inputs]);
        add(format!("mm_projector.{layer}.bias"), &[h]);
    }
    for (k, inputs) in [1152, 1024, 1536, 5760].into_iter().enumerate() {
        add(format!("mm_projector_aux_{k}.0.weight"), &[c, inputs]);
        add(format!("mm_projector_aux_{k}.2.weight"), &[c, c]);
        add(format!("mm_projector_aux_{k}.3.weight"), &[c]);
        for part in [0, 2, 3] {
            add(format!("mm_projector_aux_{k}.{part}.bias"), &[c]);
        }
    }
    add("vision_query".into(), &[1, c]);
    add("image_newline".into(), &[h]);
    let before = (0..3).map(|d| (format!("vision_sampler_0.layers.{d}"), c));
    let inside = (0..model.inside).map(|n| (format!("vision_sampler_layers.{n}.layers.0"), h));
    for (layer, queries) in before.chain(inside) {
        add(format!("{layer}.proj_context.weight"), &[c, c]);
        add(format!("{layer}.proj_in.weight"), &[c, queries + c]);
        add(format!("{layer}.proj_out.linear_1.weight"), &[c, c]);
        add(format!("{layer}.proj_out.linear_2.weight"), &[queries, c]);
        add(format!("{layer}.pos_embed_3"), &[16, c]);
        let mut projections = vec!["q_proj".to_owned()];
        projections.extend((0..4).flat_map(|k| [format!("k_proj_{k}"), format!("v_proj_{k}")]));
        for projection in projections {
            add(format!("{layer}.cross_attn.{projection}.0.weight"), &[c]);
            add(format!("{layer}.cross_attn.{projection}.0.bias"), &[c]);
            add(format!("{layer}.cross_attn.{projection}.1.weight"), &[c, c]);
        }
        add(format!("{layer}.cross_attn.o_proj.weight"), &[c, c]);
        add(format!("{layer}.norm.weight"), &[c]);
        add(format!("{layer}.norm.bias"), &[c]);
    }
    keys
}

#[test]
fn tensors_and_parameters_are_those_of_the_checkpoints() {
    for model in &MODELS {
        let weights = Weights::record(DType::F32);
        let sva = Sva::load(&spec(model), &weights, &Device::Cpu).unwrap();
        let manifest: BTreeMap<_, _> = weights.manifest().into_iter().map(|t| (t.key, t.shape)).collect();
        assert_eq!(manifest, expected(model));
        assert_eq!(weights.manifest().len(), model.tensors);
        assert_eq!(sva.descriptor().parameters, model.parameters);
        let schedule: Vec<usize> = (0..model.inside).map(|n| n * model.stride).collect();
        assert_eq!(sva.descriptor().refine_after, schedule);
        assert_eq!(sva.descriptor().side, Some(24));
    }
}

#[test]
fn a_connector_without_layers_inside_refuses_theirs() {
    let mut small = crate::common::spec(json!({"connector_only": false, "num_of_vision_sampler_layers": 1}));
    let tensors = crate::common::tensors(&small);
    small.arch.insert("connector_only".into(), json!(true));
    let weights = Weights::tensors(tensors, DType::F32);
    let Err(error) = Sva::load(&small, &weights, &Device::Cpu) else { panic!("it was taken") };
    let message = error.to_string();
    assert!(message.contains("not expected") && message.contains("vision_sampler_layers.0"), "{message}");
}
