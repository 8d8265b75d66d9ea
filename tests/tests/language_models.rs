//! Language models through both doors, and the registry's rows of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::json;
use support::plugins;
use zoo_core::sdk::{OpenOptions, Plugin};
use zoo_core::{LanguageModel, LayerHook, LlmDescriptor, NoHook, Precision, Result, Spec};
use zoo_host::plugins::{ObjectKind, PluginDoor};
use zoo_registry::Registry;
use zoo_tests::noise;

/// The families: linked in, and where their libraries come from.
static FAMILIES: [(&Plugin, &str); 4] = [
    (&zoo_llama::PLUGIN, "plugins/llama"),
    (&zoo_phi3::PLUGIN, "plugins/phi3"),
    (&zoo_qwen2::PLUGIN, "plugins/qwen2"),
    (&zoo_gemma::PLUGIN, "plugins/gemma"),
];

fn doors(plugin: &'static Plugin, sources: &str) -> [PluginDoor; 2] {
    [PluginDoor::Static(plugin), plugins(&[sources]).get(plugin.name).unwrap()]
}

fn tiny(architecture: &str, precision: Precision) -> Spec {
    serde_json::from_value(json!({
        "id": "tiny", "architecture": architecture, "precision": precision,
        "arch": {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4,
            "num_key_value_heads": 2, "vocab_size": 29, "max_position_embeddings": 40, "rms_norm_eps": 1e-5}
    }))
    .unwrap()
}

/// Random weights for what the plugin asks for, every key with `prefix` before it.
fn weights(door: &PluginDoor, spec: &Spec, folder: &Path, prefix: &str) -> PathBuf {
    let path = folder.join(format!("{prefix}model.safetensors"));
    let tensors = noise::weights(door.inspect(ObjectKind::Llm, spec).unwrap().tensors);
    let tensors: HashMap<String, Tensor> =
        tensors.into_iter().map(|(key, tensor)| (format!("{prefix}{key}"), tensor)).collect();
    candle_core::safetensors::save(&tensors, &path).unwrap();
    path
}

fn open(door: &PluginDoor, spec: &Spec, weights: &Path) -> Box<dyn LanguageModel> {
    let options = OpenOptions { weights: vec![weights.to_owned()], ..OpenOptions::default() };
    door.open_llm(spec, &options).unwrap()
}

fn bits(t: &Tensor) -> (Vec<usize>, Vec<u32>) {
    let flat = t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (t.dims().to_vec(), flat.into_iter().map(f32::to_bits).collect())
}

/// Turns the states after layer 1 around.
struct Negate;

impl LayerHook for Negate {
    fn after(&self) -> Vec<usize> {
        vec![1]
    }

    fn call(&mut self, _: usize, _: usize, hidden: Tensor) -> Result<Tensor> {
        Ok(hidden.neg()?)
    }
}

#[test]
fn a_language_model_is_the_same_through_both_doors() {
    let folder = tempfile::tempdir().unwrap();
    let table = |rows: [[u32; 5]; 2]| Tensor::new(&rows, &Device::Cpu).unwrap();
    // The second row is padded on the left.
    let (ids, positions) =
        (table([[1, 5, 10, 28, 3], [0, 0, 7, 8, 9]]), table([[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]]));
    for (plugin, sources) in FAMILIES {
        for precision in [Precision::F32, Precision::Bf16] {
            let doors = doors(plugin, sources);
            let spec = tiny(plugin.name, precision);
            let weights = weights(&doors[0], &spec, folder.path(), "");
            let models = doors.each_ref().map(|door| open(door, &spec, &weights));
            let [here, there] = &models;
            assert_eq!(here.descriptor(), there.descriptor());
            let [a, b] = models.each_ref().map(|model| {
                let embedded = model.embed(&ids).unwrap();
                let mut cache = model.cache(2).unwrap();
                let plain = model.prefill(&embedded, &positions, &mut cache, &mut NoHook).unwrap();
                let mut cache = model.cache(2).unwrap();
                let hooked = model.prefill(&embedded, &positions, &mut cache, &mut Negate).unwrap();
                assert_ne!(bits(&plain), bits(&hooked));
                let next = Tensor::new(&[[4_u32], [6]], &Device::Cpu).unwrap();
                let at = Tensor::new(&[[5_u32], [3]], &Device::Cpu).unwrap();
                let decoded = model.decode(&next, &at, &mut cache).unwrap();
                assert_eq!(decoded.dtype(), DType::F32);
                let beyond = Tensor::new(&[[40_u32], [4]], &Device::Cpu).unwrap();
                let fault = model.decode(&next, &beyond, &mut cache).unwrap_err().to_string();
                assert!(fault.contains("beyond the context of 40 tokens"), "{fault}");
                (bits(&embedded), bits(&plain), bits(&hooked), bits(&decoded), fault)
            });
            assert!(a == b, "{} in {precision:?}: the doors differ", plugin.name);
        }
    }
}

/// LLaVA checkpoints of transformers hold the language model under a prefix, beside keys of other parts.
#[test]
fn a_language_model_is_found_inside_a_larger_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (door, spec) = (PluginDoor::Static(&zoo_llama::PLUGIN), tiny("llama", Precision::F32));
    let ids = Tensor::new(&[[1_u32, 5]], &Device::Cpu).unwrap();
    let logits = ["", "language_model."].map(|prefix| {
        let model = open(&door, &spec, &weights(&door, &spec, folder.path(), prefix));
        bits(&model.logits(&model.embed(&ids).unwrap()).unwrap())
    });
    assert_eq!(logits[0], logits[1]);
}

#[test]
fn rows_of_the_registry_are_what_they_say() {
    let registry = Registry::shipped().unwrap();
    assert!(registry.llms().len() >= 6);
    for row in registry.llms() {
        let (plugin, _) = FAMILIES.iter().find(|(plugin, _)| plugin.name == row.plugin).unwrap();
        let spec = Spec {
            id: row.id.clone(),
            architecture: row.architecture.clone(),
            arch: row.arch.clone(),
            precision: Precision::Bf16,
        };
        let inspection = PluginDoor::Static(plugin).inspect(ObjectKind::Llm, &spec).unwrap();
        let descriptor: LlmDescriptor = inspection.descriptor().unwrap();
        assert_eq!((&descriptor.id, descriptor.hidden), (&row.id, row.hidden));
        let head = inspection.tensors.iter().any(|t| t.key == "lm_head.weight");
        assert_eq!(head, row.plugin != "gemma", "{}: the head is a matrix of its own unless tied", row.id);
    }
}
