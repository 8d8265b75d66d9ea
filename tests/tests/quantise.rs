//! `zoo quantize`, and models whose language model is a GGUF file, from end to end on the test checkpoints.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
mod support;

use std::fs;

use candle_core::{Device, Tensor};
use program::{QUESTION, Sandbox};
use serde_json::{Value, json};

const TO_FILE: [&str; 6] = ["quantize", "model", "--type", "q8_0", "--out", "model/d.gguf"];

/// What the other tests run.
#[test]
fn program() {
    program::run();
}

/// A place with a copy of the test checkpoint `family` in `model`.
fn place(family: &str) -> Sandbox {
    let place = Sandbox::new(&support::ALL);
    place.checkpoint(family, "model");
    place
}

/// Writes the language model of `model` into a GGUF file, which takes the place of its own from here on.
#[track_caller]
fn replace(place: &Sandbox) -> Value {
    let said = place.json_with(&TO_FILE, 0);
    let toml = fs::read_to_string(place.path("model/zoo.toml")).unwrap();
    place.write("model/zoo.toml", &format!("{toml}\n[llm]\nweights = \"d.gguf\"\n"));
    said
}

/// The logits after a question without an image, and the tokens that follow.
#[track_caller]
fn trace(place: &Sandbox, more: &[&str]) -> (Vec<f32>, Vec<i64>) {
    let line =
        ["trace", "--text-only", QUESTION, "--model", "model", "--overwrite", "--out", "t.safetensors"];
    let all = [line.as_slice(), more].concat();
    place.run_with(&all, 0);
    let all = candle_core::safetensors::load(place.path("t.safetensors"), &Device::Cpu).unwrap();
    (all["logits"].to_vec1().unwrap(), all["generated"].to_vec1().unwrap())
}

/// The file is the model quantised at load, bit by bit.
#[track_caller]
fn same_as_at_load(place: &Sandbox) {
    let plain = trace(place, &[]);
    let at_load = trace(place, &["--quantise", "q8_0"]);
    assert_ne!(plain, at_load, "quantising does something");
    replace(place);
    assert_eq!(trace(place, &[]), at_load);
}

/// As [`same_as_at_load`], but the head is the embedding table of the file and not quantised, unless that is asked.
#[track_caller]
fn same_but_for_the_head(place: &Sandbox) {
    let (at_load, _) = trace(place, &["--quantise", "q8_0"]);
    replace(place);
    assert_eq!(trace(place, &["--quantise", "q8_0"]).0, at_load);
    let (own, _) = trace(place, &[]);
    assert_ne!(own, at_load);
    let square = |x: f32| f64::from(x) * f64::from(x);
    let apart: f64 = own.iter().zip(&at_load).map(|(a, b)| square(a - b)).sum();
    let whole: f64 = at_load.iter().map(|&x| square(x)).sum();
    assert!(apart < 1e-4 * whole, "{apart} of {whole}");
}

/// The command `line` ends with `code` and one message that holds `parts`, and leaves nothing.
#[track_caller]
fn refused(place: &Sandbox, line: &[&str], code: i32, parts: &[&str]) {
    let ran = place.run_with(line, code);
    assert_eq!(ran.out, "");
    assert_eq!(ran.err.matches("error: ").count(), 1, "{}", ran.err);
    for part in parts {
        assert!(ran.err.contains(part), "`{part}` is not in: {}", ran.err);
    }
    let written = fs::read_dir(place.path("model")).unwrap().map(|entry| entry.unwrap().file_name());
    let written: Vec<_> = written.filter(|name| name.to_string_lossy().contains("gguf")).collect();
    assert!(written.is_empty(), "{written:?}");
    place.is_tidy();
}

#[test]
fn a_quantised_file_gives_the_answers_of_quantising_at_load() {
    let place = place("cambrian-vicuna");
    place.image("photo.png", 120, 90);
    let ask = |more: &[&str]| {
        let line = ["ask", "photo.png", QUESTION, "--model", "model", "--max-new-tokens", "6"];
        place.json_with(&[&line, more].concat(), 0)["answers"].clone()
    };
    let at_load = ask(&["--quantise", "q8_0"]);
    let said = replace(&place);
    assert_eq!((&said["type"], &said["path"]), (&json!("q8_0"), &json!("model/d.gguf")));
    assert_eq!(said["bytes"], fs::metadata(place.path("model/d.gguf")).unwrap().len());
    assert!(said["weights"]["Q8_0"].as_u64() > said["weights"]["F32"].as_u64(), "{said}");
    assert_eq!(ask(&[]), at_load);
    place.is_tidy();
}

#[test]
fn what_cannot_be_written_is_said_once_and_leaves_nothing() {
    let place = place("cambrian-vicuna");
    let line = |model, format, out| ["quantize", model, "--type", format, "--out", out];
    refused(&place, &line("model", "q5_0", "model/d.gguf"), 2, &["q5_0", "q8_0"]);
    refused(&place, &line("model", "q8_0", "model/d.bin"), 2, &["model/d.bin", "model/d.gguf"]);
    refused(&place, &line("nowhere", "q8_0", "model/d.gguf"), 1, &["there is no model `nowhere`"]);
    // A file stands where a folder would have to be, and a folder where the file would.
    refused(&place, &line("model", "q8_0", "model/config.json/d.gguf"), 1, &["model/config.json"]);
    fs::create_dir(place.path("taken.gguf")).unwrap();
    refused(&place, &line("model", "q8_0", "taken.gguf"), 1, &["taken.gguf"]);
    fs::remove_file(place.path("model/config.json")).unwrap();
    refused(&place, &TO_FILE, 1, &["this is no model folder", "config.json"]);
}

#[test]
fn llama() {
    same_as_at_load(&place("cambrian-llama3"));
}

#[test]
fn mistral() {
    same_as_at_load(&place("cambrian-mistral"));
}

#[test]
fn phi3() {
    same_as_at_load(&place("cambrian-phi3"));
}

#[test]
fn qwen2() {
    same_as_at_load(&place("cambrian-qwen2"));
}

#[test]
fn gemma() {
    same_but_for_the_head(&place("cambrian-gemma"));
}

/// Gemma 2 alone: the language model of the Gemma checkpoint with norms behind each half of a layer, caps and windows.
#[test]
fn gemma2() {
    let place = place("cambrian-gemma");
    let path = place.path("model/model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    tensors.retain(|key, _| {
        ["model.embed_tokens.", "model.layers.", "model.norm."].iter().any(|start| key.starts_with(start))
    });
    for layer in 0..2 {
        for (from, to) in [("input", "pre_feedforward"), ("post_attention", "post_feedforward")] {
            let norm = tensors[&format!("model.layers.{layer}.{from}_layernorm.weight")].clone();
            let norm: Tensor = (norm * 0.7).unwrap();
            tensors.insert(format!("model.layers.{layer}.{to}_layernorm.weight"), norm);
        }
    }
    candle_core::safetensors::save(&tensors, &path).unwrap();
    place.edit("model/config.json", |config| {
        let all = config.as_object_mut().unwrap();
        all.retain(|key, _| !key.contains("vision") && !key.starts_with("mm_"));
        all.insert("model_type".into(), "gemma2".into());
        all.insert("query_pre_attn_scalar".into(), 24.into());
        all.insert("sliding_window".into(), 8.into());
        all.insert("attn_logit_softcapping".into(), 50.0.into());
        all.insert("final_logit_softcapping".into(), 30.0.into());
    });
    place.write("model/zoo.toml", "template = \"conv_gemma\"\n");
    same_but_for_the_head(&place);
}

#[test]
fn what_a_file_cannot_say_is_refused_with_the_reason() {
    let config = |family: &str, key: &'static str, value: Value| {
        let place = place(family);
        place.edit("model/config.json", |config| config[key] = value);
        place
    };
    let llama3 = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 1024
    });
    let turned = config("cambrian-llama3", "rope_scaling", llama3);
    refused(&turned, &TO_FILE, 1, &["stretched by `llama3`", "quantise at load"]);
    let factors = vec![1.5; 8];
    let longrope = json!({"type": "longrope", "short_factor": factors, "long_factor": factors});
    let turned = config("cambrian-phi3", "rope_scaling", longrope);
    refused(&turned, &TO_FILE, 1, &["stretched by `longrope`", "quantise at load"]);
    let own_head = config("cambrian-gemma", "tie_word_embeddings", false.into());
    refused(&own_head, &TO_FILE, 1, &["no head beside the embedding table", "tie_word_embeddings"]);
}
