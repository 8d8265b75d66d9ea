//! `zoo ask` and `zoo trace` from end to end, on the test checkpoints: answers, what goes wrong and how it is said, and
//! a model that comes from a Hub.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "support/program.rs"]
mod program;
#[path = "../../inputs/hub/tests/hub/server.rs"]
#[allow(dead_code, reason = "made for another suite, which uses all of it")]
mod server;
mod support;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use program::{File, QUESTION, Sandbox};
use serde_json::Value;
use server::Server;

const FAMILY: &str = "cambrian-vicuna";

/// What the other tests run.
#[test]
fn program() {
    program::run();
}

/// A place with a copy of the test checkpoint in `model` and an image.
fn place() -> Sandbox {
    let place = Sandbox::new(&support::CAMBRIAN);
    place.image("photo.png", 120, 90);
    place.checkpoint(FAMILY, "model");
    place
}

/// `zoo ask photo.png QUESTION --model model` after `spoil` fails with one message that holds all of `parts`.
#[track_caller]
fn fails(spoil: impl FnOnce(&Sandbox), parts: &[&str]) {
    let place = place();
    spoil(&place);
    let ran = place.run_with(&["ask", "photo.png", QUESTION, "--model", "model"], 1);
    assert_eq!(ran.out, "");
    assert_eq!(ran.err.matches("error: ").count(), 1, "{}", ran.err);
    for part in parts {
        assert!(ran.err.contains(part), "`{part}` is not in: {}", ran.err);
    }
}

#[test]
fn an_answer_is_the_same_however_it_is_asked_for() {
    let place = place();
    let ask = |more: &[&str]| {
        let all =
            [&["ask", "photo.png", QUESTION, "--model", "model", "--max-new-tokens", "6"], more].concat();
        place.json_with(&all, 0)
    };
    let json = ask(&[]);
    assert_eq!((&json["model"], &json["template"]), (&"model".into(), &"vicuna_v1".into()));
    let answer = &json["answers"][0];
    assert_eq!((&answer["tokens"], &answer["finish"]), (&6.into(), &"length".into()), "{json}");
    let text = answer["answer"].as_str().unwrap();

    let plain =
        place.run_with(&["ask", "photo.png", QUESTION, "--model", "model", "--max-new-tokens", "6"], 0);
    assert_eq!(plain.out.trim(), text);
    // Neither memory nor the reading of several beams of width one changes an answer.
    assert_eq!(ask(&["--drop-encoders"])["answers"], json["answers"]);
    assert_eq!(ask(&["--beams", "1"])["answers"][0]["answer"], answer["answer"]);
    // Drawing depends on the seed alone.
    let drawn = |seed: &str| ask(&["--temperature", "2", "--seed", seed])["answers"][0]["answer"].clone();
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
}

#[test]
fn several_images_are_several_rows() {
    let place = place();
    place.image("other.png", 50, 100);
    let one = |image: &str| {
        place.json_with(&["ask", image, QUESTION, "--model", "model", "--max-new-tokens", "4"], 0)["answers"]
            [0]
        .clone()
    };
    let both = ["ask", "photo.png", "other.png", QUESTION, "--model", "model", "--max-new-tokens", "4"];
    let json = place.json_with(&both, 0);
    assert_eq!(json["answers"], Value::Array(vec![one("photo.png"), one("other.png")]));
    let text = place.run_with(&both, 0).out;
    let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    assert!(names.contains(&"photo.png") && names.contains(&"other.png"), "{text}");
}

#[test]
fn questions_need_no_image() {
    let place = place();
    let ask = |line: &[&str]| {
        let all = [&["ask"], line, &["--model", "model", "--max-new-tokens", "4"]].concat();
        place.json_with(&all, 0)["answers"].clone()
    };
    let alone = ask(&[QUESTION]);
    assert_eq!(alone, ask(&["--text-only", QUESTION]));
    assert_eq!(alone[0]["image"], Value::Null);
}

#[test]
fn a_choice_is_the_most_probable_answer() {
    let place = place();
    let ask = ["ask", "photo.png", "Which?", "--model", "model", "--choices", "A,B,none of them"];
    let json = place.json_with(&ask, 0);
    let choices = json["answers"][0]["choices"].as_array().unwrap();
    let likelihood = |c: &Value| c["per_token"].as_f64().unwrap();
    assert!(choices.len() == 3 && choices.iter().all(|c| likelihood(c) < 0.0), "{json}");
    let best = choices.iter().max_by(|a, b| likelihood(a).total_cmp(&likelihood(b))).unwrap();
    assert_eq!(json["answers"][0]["answer"], best["answer"]);
    assert!(choices[2]["tokens"].as_u64() > choices[0]["tokens"].as_u64());
    // Blanks after commas are no part of an answer.
    let spaced = ["ask", "photo.png", "Which?", "--model", "model", "--choices", " A , B,none of them "];
    assert_eq!(place.json_with(&spaced, 0)["answers"], json["answers"]);
}

#[test]
fn a_trace_is_a_file_of_four_tensors() {
    let place = place();
    let image = support::checkpoints().join("images/landscape.png");
    let image = image.to_str().unwrap();
    place.run_with(&["trace", image, QUESTION, "--model", "model", "--out", "t.safetensors"], 0);
    let trace = place.tensors("t.safetensors");
    let golden = File::open(&support::checkpoints().join(FAMILY).join("traces/landscape.safetensors"));
    assert_eq!(trace.names(), ["generated", "image_tokens", "input_ids", "logits"]);
    assert_eq!(trace.names(), golden.names());
    for name in golden.names() {
        assert_eq!(trace.shape(&name), golden.shape(&name), "{name}");
    }
    let load = |path: &Path| -> HashMap<String, Tensor> {
        candle_core::safetensors::load(path, &Device::Cpu).unwrap()
    };
    let (trace, golden) = (
        load(&place.path("t.safetensors")),
        load(&support::checkpoints().join(FAMILY).join("traces/landscape.safetensors")),
    );
    for name in ["input_ids", "generated"] {
        let ids = |all: &HashMap<String, Tensor>| all[name].to_vec1::<i64>().unwrap();
        assert_eq!(ids(&trace), ids(&golden), "{name}");
    }
    place.run_with(&["trace", "--text-only", QUESTION, "--model", "model", "--out", "text.safetensors"], 0);
    assert_eq!(place.tensors("text.safetensors").shape("image_tokens"), [0, 64]);
    place.is_tidy();
}

#[test]
fn command_lines_that_cannot_be_meant_are_refused() {
    let place = place();
    for (line, part) in [
        (vec!["ask", "photo.png"], "stands where the question should"),
        (vec!["ask", "--text-only", "photo.png", "q"], "--text-only takes the question alone"),
        (vec!["ask", "none.png"], "none.png` is a path at which there is nothing"),
        (vec!["ask", "photo.png", "none.png"], "none.png` is a path at which there is nothing"),
        (vec!["ask", "model"], "`model` is a folder"),
        (vec!["ask", "*.png"], "`*.png` is a pattern"),
        (vec!["ask", "https://example.org/a.png"], "is an address"),
        (vec!["ask", "https://example.org/a.png", "q"], "images are read from files"),
        (vec!["trace", "photo.png", "--out", "t.safetensors"], "--text-only if it is the question"),
        (vec!["trace", "a.png", "b.png", "q", "--out", "t.safetensors"], "unexpected value"),
        (vec!["chat", "-"], "standard input, from where the lines of a chat come"),
        (vec!["ask", "photo.png", "q", "--choices", "A,,B"], "comma too many"),
        (vec!["ask", "photo.png", "q", "--top-p", "0.5"], "--top-p means nothing to greedy search"),
        (vec!["trace", "photo.png", "q", "--out", "t.npy"], "give a name in .safetensors"),
    ] {
        let ran = place.run_with(&[line.as_slice(), &["--model", "model"]].concat(), 2);
        assert!(ran.err.contains(part), "{line:?}: {}", ran.err);
    }
}

#[test]
fn what_is_wrong_is_said_once_and_helpfully() {
    let spoilt = |file: &'static str, text: &'static str| move |p: &Sandbox| drop(p.write(file, text));
    let removed = |file: &'static str| move |p: &Sandbox| fs::remove_file(p.path(file)).unwrap();
    fails(|p| fs::remove_dir_all(p.path("model")).unwrap(), &["there is no model `model`"]);
    fails(removed("model/config.json"), &["this is no model folder", "config.json"]);
    fails(removed("model/model-00002-of-00002.safetensors"), &["shard", "is not there"]);
    fails(spoilt("photo.png", "not an image"), &["photo.png"]);
    fails(removed("photo.png"), &["photo.png", "no such file"]);
    let toml = |p: &Sandbox| fs::read_to_string(p.path("model/zoo.toml")).unwrap();
    fails(
        |p| drop(p.write("model/zoo.toml", &toml(p).replace("template = \"vicuna_v1\"", ""))),
        &["nothing here tells the conversation template", "--template"],
    );
    fails(
        |p| drop(p.write("model/zoo.toml", &toml(p).replace("vicuna_v1", "llama_3"))),
        &["template `llama_3` needs `<|begin_of_text|>`", "the tokenizer does not know"],
    );
    fails(
        |p| {
            let other = support::checkpoints().join("cambrian-llama3/tokenizer.json");
            let _ = fs::remove_file(p.path("model/tokenizer.model"));
            fs::copy(other, p.path("model/tokenizer.json")).unwrap();
        },
        &["template `vicuna_v1` needs `</s>`", "tokenizer"],
    );
    fails(
        |p| drop(p.write("model/zoo.toml", &toml(p).replace("clip-vit-l-14-336", "clip-vit-l-14-335"))),
        &["zoo.toml", "there is no encoder `clip-vit-l-14-335", "did you mean `clip-vit-l-14-336`"],
    );
    fails(
        |p| p.edit("model/config.json", |c| c["intermediate_size"] = 100.into()),
        &["the tensors do not fit the architecture", "wrong shape", "mlp"],
    );
}

#[test]
fn too_little_memory_is_refused_with_figures() {
    let place = place();
    let ran = place.run_with(&["ask", "photo.png", QUESTION, "--model", "model", "--memory", "0.0001"], 1);
    for part in ["of memory are needed at once", "--quantise q4_k", "--dtype bf16", "are dropped", "KV cache"]
    {
        assert!(ran.err.contains(part), "`{part}` is not in: {}", ran.err);
    }
}

/// Rows of a model on the Hub, whose encoders have local weights.
fn overlay() -> String {
    let encoders = support::checkpoints().join("encoders");
    let row = |id: &str, tower: &str, like: &str, file: &str, channels: &str| {
        let shipped = include_str!("../../registry.toml");
        let start = shipped.find(&format!("[[encoder]]\nid = \"{like}\"")).unwrap();
        let text = shipped[start..].split("\n\n").next().unwrap();
        let kept = text.lines().filter(|line| {
            [
                "plugin",
                "architecture",
                "supervision",
                "licence",
                "resolution",
                "stride",
                "select",
                "preprocess",
            ]
            .iter()
            .any(|key| line.starts_with(&format!("{key} =")))
        });
        let shipped: Value = toml::from_str(text).map(|t: toml::Table| serde_json::json!(t)).unwrap();
        let mut arch = shipped["encoder"][0]["arch"].clone();
        let small: Value =
            serde_json::from_str(&fs::read_to_string(encoders.join(format!("{file}.json"))).unwrap())
                .unwrap();
        for (key, value) in small.as_object().unwrap() {
            arch[key] = value.clone();
        }
        let arch: Vec<String> =
            arch.as_object().unwrap().iter().map(|(key, value)| format!("{key} = {value}")).collect();
        format!(
            "[[encoder]]\nid = \"{id}\"\ndescription = \"x\"\ntowers = [\"{tower}\"]\n{}\narch = {{ {} }}\n\
             channels = {channels}\nweights = {{ path = \"{}\" }}\n\n",
            kept.collect::<Vec<_>>().join("\n"),
            arch.join(", "),
            encoders.join(format!("{file}.safetensors")).display()
        )
    };
    [
        "version = 1\n".to_owned(),
        row("tiny-siglip", "tiny/siglip", "siglip-so400m-14-384", "siglip", "32"),
        row("tiny-clip", "tiny/clip", "clip-vit-l-14-336", "clip", "32"),
        row("tiny-dinov2", "tiny/dinov2", "dinov2-vit-g-14", "dinov2", "32"),
        row("tiny-convnext", "tiny/convnext", "openclip-convnext-xxl", "convnext", "[8, 12, 16, 24]"),
        "[[ensemble]]\nid = \"tiny\"\ndescription = \"x\"\nmembers = [{ encoder = \"tiny-siglip\", tokens = 144 }]\n\
         connector = \"tiny-connector\"\n\
         [[connector]]\nid = \"tiny-connector\"\ndescription = \"x\"\nplugin = \"projectors\"\narchitecture = \"linear\"\n\
         arch = { inputs = [32], output = 64 }\n\
         [[llm]]\nid = \"tiny-llm\"\ndescription = \"x\"\nplugin = \"llama\"\narchitecture = \"llama\"\nhidden = 64\n\
         licence = \"MIT\"\nweights = { seed = 1 }\n\
         [[model]]\nid = \"tiny-model\"\ndescription = \"x\"\nensemble = \"tiny\"\nconnector = \"tiny-connector\"\n\
         llm = \"tiny-llm\"\ntemplate = \"vicuna_v1\"\nlicence = \"MIT\"\n\
         weights = { repo = \"org/name\", file = \"model.safetensors.index.json\" }\n"
            .to_owned(),
    ]
    .concat()
}

#[test]
fn a_model_is_pulled_with_everything_it_needs_and_then_answers_offline() {
    let mut place = place();
    let mut config: Value =
        serde_json::from_str(&fs::read_to_string(place.path("model/config.json")).unwrap()).unwrap();
    config["mm_vision_tower_aux_list"] =
        serde_json::json!(["tiny/siglip", "tiny/clip", "tiny/dinov2-res378", "tiny/convnext-multi-stage"]);
    let mut server = Server::start().small("config.json", config.to_string().as_bytes());
    for entry in fs::read_dir(place.path("model")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = fs::read(&path).unwrap();
        server = match name {
            "config.json" | "zoo.toml" => server,
            _ if name.ends_with(".safetensors") => server.large(name, &bytes),
            _ => server.small(name, &bytes),
        };
    }
    place.write("tiny.toml", &overlay());
    let image = support::checkpoints().join("images/landscape.png");
    let trace =
        ["trace", image.to_str().unwrap(), QUESTION, "--model", "tiny-model", "--registry", "tiny.toml"];
    let trace = [trace.as_slice(), &["--out", "t.safetensors"]].concat();

    // Nothing is there, and nothing is downloaded by asking.
    let ran = place.run_with(&trace, 1);
    for part in ["run `zoo pull tiny-model`", "config.json", "hf/hub"] {
        assert!(ran.err.contains(part), "no `{part}` in: {}", ran.err);
    }

    place.environment =
        vec![("HF_ENDPOINT".to_owned(), server.endpoint()), ("HF_HUB_OFFLINE".to_owned(), "0".to_owned())];
    let pulled = place.json("pull tiny-model --registry tiny.toml", 0);
    let names: Vec<&str> =
        pulled["files"].as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    for file in ["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
        assert!(names.iter().any(|name| name.ends_with(file)), "{file}: {names:?}");
    }
    place.environment = vec![("HF_HUB_OFFLINE".to_owned(), "1".to_owned())];
    let before = server.log().len();
    place.run_with(&trace, 0);
    assert_eq!(server.log().len(), before, "an answer opens no connection");
    let golden = support::checkpoints().join(FAMILY).join("traces/landscape.safetensors");
    let ids = |path: &Path| {
        let all: HashMap<String, Tensor> = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        all["generated"].to_vec1::<i64>().unwrap()
    };
    assert_eq!(ids(&place.path("t.safetensors")), ids(&golden));
}
