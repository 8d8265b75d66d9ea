//! Model folders in the released layouts, from an image and a question to the next tokens, against an independent
//! implementation in torch (`tests/reference/cambrian.py`). The folders and the golden traces are made by
//! `tests/checkpoints/make.py`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};
use zoo_core::weights::Checkpoint;
use zoo_core::{CallContext, Precision, Quantisation, Spec};
use zoo_host::plugins::ObjectKind;
use zoo_host::{EncoderMemory, HostError, MemoryPolicy, ModelRequest, ModelSession, Sight, Trace, Zoo};
use zoo_language::template::Conversation;
use zoo_language::tokens::NewlineAfterImage;
use zoo_tests::golden::{BOUND, compare};

/// `traces/<case>.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// From the folder of the case.
    image: Option<PathBuf>,
    question: String,
    template: String,
    newline: String,
}

fn zoo() -> Zoo {
    support::zoo(&support::ALL, Precision::F32)
}

/// The conversation of a case, and what is seen in it.
fn scene(session: &ModelSession, folder: &Path, case: &Case) -> (Conversation, Sight) {
    let mut conversation = Conversation::new();
    let images = match &case.image {
        None => {
            conversation.ask(&case.question).unwrap();
            Vec::new()
        }
        Some(image) => {
            conversation.ask_about_image(&case.question).unwrap();
            vec![zoo_preprocess::open(folder.join(image), &Default::default()).unwrap()]
        }
    };
    let sight = session.look(&images, &()).unwrap();
    (conversation, sight)
}

fn ids(tensor: &Tensor) -> Vec<i64> {
    tensor.to_vec1().unwrap()
}

#[track_caller]
fn agree(what: &str, got: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    if expected.elem_count() == 0 {
        return 0.0;
    }
    let difference = compare(got, expected).unwrap();
    assert!(difference.within(BOUND), "{what}: {difference}");
    difference.relative()
}

/// Compares a trace with its golden; the largest relative difference.
#[track_caller]
fn check(name: &str, trace: &Trace, golden: &HashMap<String, Tensor>) -> f64 {
    assert_eq!(ids(&trace.input_ids), ids(&golden["input_ids"]), "{name}: token ids");
    let tokens = agree(&format!("{name}: image tokens"), &trace.image_tokens, &golden["image_tokens"]);
    let logits = agree(&format!("{name}: logits"), &trace.logits, &golden["logits"]);
    assert_eq!(ids(&trace.generated), ids(&golden["generated"]), "{name}: greedy tokens");
    tokens.max(logits)
}

/// All cases of one folder; how many there were.
#[track_caller]
fn family(name: &str) -> usize {
    let (zoo, folder) = (zoo(), support::checkpoints().join(name));
    let mut sessions: HashMap<(String, String), ModelSession> = HashMap::new();
    let mut cases: Vec<PathBuf> = fs::read_dir(folder.join("traces"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    cases.sort();
    for path in &cases {
        let case: Case = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let key = (case.template.clone(), case.newline.clone());
        let session = sessions.entry(key).or_insert_with(|| {
            let newline = match case.newline.as_str() {
                "keep" => NewlineAfterImage::Keep,
                "drop" => NewlineAfterImage::Drop,
                other => panic!("{other}"),
            };
            let request = ModelRequest {
                template: Some(case.template.clone()),
                newline: Some(newline),
                ..ModelRequest::new(folder.display().to_string())
            };
            zoo.model(&request, &()).unwrap_or_else(|error| panic!("{name}: {error}"))
        });
        let label = format!("{name}/{}", path.file_stem().unwrap().display());
        let (conversation, sight) = scene(session, path.parent().unwrap(), &case);
        let golden =
            candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu).unwrap();
        let trace = session.trace(&conversation, &sight).unwrap_or_else(|error| panic!("{label}: {error}"));
        let worst = check(&label, &trace, &golden);
        println!("{label}: {worst:.1e}");
        // Nothing of one request reaches another: a question without an image gives the same before and after.
        assert_eq!(ids(&session.trace(&conversation, &sight).unwrap().generated), ids(&trace.generated));
    }
    cases.len()
}

macro_rules! families {
    ($($test:ident: $folder:literal, $cases:literal;)*) => {
        $(#[test] fn $test() { assert!(family($folder) >= $cases); })*

        /// A folder that no test reads proves nothing.
        #[test]
        fn every_folder_has_a_test() {
            let tested = [$($folder),*];
            for entry in fs::read_dir(support::checkpoints()).unwrap() {
                let path = entry.unwrap().path();
                if path.join("config.json").is_file() {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    assert!(tested.contains(&name), "no test traces {name}");
                }
            }
        }
    };
}

families! {
    llama3: "cambrian-llama3", 6;
    vicuna: "cambrian-vicuna", 5;
    chatml: "cambrian-chatml", 5;
    phi3: "cambrian-phi3", 5;
    mistral: "cambrian-mistral", 3;
    gemma: "cambrian-gemma", 3;
    qwen2: "cambrian-qwen2", 3;
    stage1: "cambrian-stage1", 2;
    llava: "llava-1.5", 2;
}

/// Checkpoints of the released models hold these many tensors, each of which somebody reads and nobody twice.
#[test]
fn every_tensor_of_the_released_models_belongs_to_one_part() {
    let zoo = zoo();
    let totals =
        [("cambrian-phi3-3b", 680), ("cambrian-8b", 776), ("cambrian-13b", 848), ("cambrian-34b", 993)];
    for (model, total) in totals {
        let registry = zoo.registry();
        let row = registry.model(model).unwrap();
        let (connector, llm) = (registry.connector(&row.connector).unwrap(), registry.llm(&row.llm).unwrap());
        let keys = |plugin: &str, kind, architecture: &str, arch: &serde_json::Map<String, Value>| {
            let (id, arch, precision) = (model.to_owned(), arch.clone(), Precision::F32);
            let spec = Spec { id, architecture: architecture.to_owned(), arch, precision };
            let found = zoo.plugins().get(plugin).unwrap().inspect(kind, &spec).unwrap();
            found.tensors.into_iter().map(|tensor| tensor.key)
        };
        let mut all: Vec<String> =
            keys(&connector.plugin, ObjectKind::Connector, &connector.architecture, &connector.arch)
                .chain(keys(&llm.plugin, ObjectKind::Llm, &llm.architecture, &llm.arch))
                .collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), total, "{model}");
    }
}

/// No released model was trained with several images in one conversation.
#[test]
fn several_images_in_one_conversation_are_refused() {
    let folder = support::checkpoints().join("cambrian-vicuna");
    let session = zoo().model(&ModelRequest::new(folder.display().to_string()), &()).unwrap();
    let mut conversation = Conversation::new();
    conversation.ask("<image>\n<image>\nWhich is larger?").unwrap();
    let message = session.prompt(&conversation).unwrap_err().to_string();
    assert!(message.contains("one image per conversation, and this one has 2"), "{message}");
}

/// A copy of a test checkpoint with another configuration; its weights only where they are not `tensors`.
fn copied(
    name: &str,
    change: impl FnOnce(&mut Value),
    tensors: Option<&HashMap<String, Tensor>>,
) -> tempfile::TempDir {
    let (from, to) = (support::checkpoints().join(name), tempfile::tempdir().unwrap());
    for entry in fs::read_dir(&from).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let weights =
            file.contains(".safetensors") || file.ends_with(".bin") || file.ends_with(".index.json");
        if path.is_file() && !(weights && tensors.is_some()) {
            fs::copy(&path, to.path().join(file)).unwrap();
        }
    }
    if let Some(tensors) = tensors {
        candle_core::safetensors::save(tensors, to.path().join("model.safetensors")).unwrap();
    }
    let mut config: Value =
        serde_json::from_str(&fs::read_to_string(from.join("config.json")).unwrap()).unwrap();
    change(&mut config);
    fs::write(to.path().join("config.json"), config.to_string()).unwrap();
    let encoders = support::checkpoints().join("encoders").display().to_string();
    let toml = fs::read_to_string(from.join("zoo.toml")).unwrap().replace("../encoders", &encoders);
    fs::write(to.path().join("zoo.toml"), toml).unwrap();
    to
}

fn opened(zoo: &Zoo, folder: &Path) -> ModelSession {
    zoo.model(&ModelRequest::new(folder.display().to_string()), &()).unwrap()
}

/// A connector whose layers inside the language model add nothing is one without them, bit for bit.
#[test]
fn layers_inside_that_add_nothing_change_nothing() {
    let zoo = zoo();
    let name = "cambrian-llama3";
    let index = support::checkpoints().join(name).join("model.safetensors.index.json");
    let stored = Checkpoint::open(&[index]).unwrap();
    let all: HashMap<String, Tensor> =
        stored.keys().map(|key| (key.to_owned(), stored.load(key).unwrap())).collect();
    let inside = |key: &str| key.contains("vision_sampler_layers");
    let logits = |folder: &Path| -> Vec<u32> {
        let session = opened(&zoo, folder);
        let case = Case {
            image: Some("images/portrait.png".into()),
            question: "Why?".into(),
            template: "llama_3".into(),
            newline: "keep".into(),
        };
        let (conversation, sight) = scene(&session, &support::checkpoints(), &case);
        let logits: Vec<f32> = session.trace(&conversation, &sight).unwrap().logits.to_vec1().unwrap();
        logits.into_iter().map(f32::to_bits).collect()
    };
    let mut zeroed = all.clone();
    for (key, tensor) in &mut zeroed {
        if inside(key) && key.ends_with("linear_2.weight") {
            *tensor = tensor.zeros_like().unwrap();
        }
    }
    let zeroed = logits(copied(name, |_| {}, Some(&zeroed)).path());
    let without: HashMap<String, Tensor> = all.into_iter().filter(|(key, _)| !inside(key)).collect();
    let without = copied(name, |config| config["connector_only"] = true.into(), Some(&without));
    assert_eq!(zeroed, logits(without.path()));
    assert_ne!(zeroed, logits(&support::checkpoints().join(name)), "the layers of the original do something");
}

/// Only who asks for it gets the reference's cut.
#[test]
fn prompts_are_cut_like_the_references_only_when_asked() {
    let folder = copied("cambrian-vicuna", |c| c["tokenizer_model_max_length"] = 12.into(), None);
    let zoo = zoo();
    let length = |reference_length: bool| {
        let request =
            ModelRequest { reference_length, ..ModelRequest::new(folder.path().display().to_string()) };
        let session = zoo.model(&request, &()).unwrap();
        let mut conversation = Conversation::new();
        conversation.ask("What is unusual here?").unwrap();
        let prompt = session.prompt(&conversation).unwrap();
        session.assemble(&prompt, &Sight::none()).unwrap().embeddings.dim(1).unwrap()
    };
    assert_eq!(length(true), 12);
    assert!(length(false) > 12);
}

/// The bits of everything in a trace.
fn bits(trace: &Trace) -> Vec<Vec<u32>> {
    let floats = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let bits = |t: &Tensor| floats(t).into_iter().map(f32::to_bits).collect();
    let words = |t: &Tensor| ids(t).into_iter().map(|id| id as u32).collect();
    vec![words(&trace.input_ids), bits(&trace.image_tokens), bits(&trace.logits), words(&trace.generated)]
}

/// A model without a folder of its own: rows name its encoder, its connector and the folder of its language model.
#[test]
fn a_model_of_rows_answers_as_its_folder_does() {
    let checkpoints = support::checkpoints();
    let folder = checkpoints.join("llava-1.5");
    let small: Value =
        serde_json::from_str(&fs::read_to_string(checkpoints.join("encoders/clip.json")).unwrap()).unwrap();
    let mut encoder = serde_json::to_value(zoo().registry().encoder("clip-vit-l-14-336").unwrap()).unwrap();
    for (key, value) in small.as_object().unwrap() {
        encoder["arch"][key] = value.clone();
    }
    for (key, value) in [
        ("id", json!("small-eye")),
        ("aliases", json!([])),
        ("towers", json!([])),
        ("channels", small["embed_dim"].clone()),
        ("weights", json!({ "path": checkpoints.join("encoders/clip.safetensors") })),
    ] {
        encoder[key] = value;
    }
    // They are those of the large one.
    for said in ["parameters", "gmacs"] {
        encoder.as_object_mut().unwrap().remove(said);
    }
    let arch = json!({
        "inputs": [small["embed_dim"]], "token_len": 576, "output": 64, "depth": 2, "newline": false, "unpad": false
    });
    let rows = json!({
        "version": 1,
        "encoder": [encoder],
        "ensemble": [{ "id": "small-eyes", "description": "x", "members": [{ "encoder": "small-eye" }] }],
        "connector": [{
            "id": "small-bridge", "description": "x", "plugin": "projectors", "architecture": "mlp_gelu", "arch": arch,
            "weights": { "path": folder.join("pytorch_model.bin.index.json") }
        }],
        "llm": [{
            "id": "small-llm", "description": "x", "plugin": "llama", "architecture": "llama", "hidden": 64,
            "licence": "MIT", "weights": { "path": folder }
        }],
        "model": [{
            "id": "small-llava", "description": "x", "ensemble": "small-eyes", "connector": "small-bridge",
            "llm": "small-llm", "template": "vicuna_v1", "licence": "MIT"
        }],
    });
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("rows.toml");
    fs::write(&file, toml::to_string(&rows).unwrap()).unwrap();
    let case = Case {
        image: Some("images/portrait.png".into()),
        question: "Why?".into(),
        template: "vicuna_v1".into(),
        newline: "keep".into(),
    };
    let of_rows = support::zoo_with(&support::ALL, Precision::F32, vec![file]);
    let traces = [(&of_rows, Path::new("small-llava")), (&zoo(), &folder)].map(|(zoo, model)| {
        // One encoder at a time gives the same as encoders that stay.
        let drop = MemoryPolicy { encoders: EncoderMemory::Dropped, ..MemoryPolicy::default() };
        [MemoryPolicy::default(), drop].map(|memory| {
            let session = zoo.model(&ModelRequest { memory, ..ModelRequest::new(model) }, &()).unwrap();
            let (conversation, sight) = scene(&session, &checkpoints, &case);
            bits(&session.trace(&conversation, &sight).unwrap())
        })
    });
    assert!(traces.iter().flatten().all(|trace| *trace == traces[0][0]));
    let error = of_rows.pieces(&ModelRequest::new("small-llava")).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("has no folder to be trained from"), "{error}");
}

/// Whoever loses interest while a model is opened or looks is heard between two parts.
#[test]
fn opening_and_looking_end_where_somebody_says_so() {
    let (zoo, folder) = (zoo(), support::checkpoints().join("llava-1.5"));
    let stop = Arc::new(AtomicBool::new(true));
    let stopped = CallContext::new().cancelled_by(stop.clone());
    let cancelled = |error: HostError| matches!(error, HostError::Core(zoo_core::Error::Cancelled));
    let request = ModelRequest::new(&folder);
    assert!(stopped.scope(|| zoo.model(&request, &())).map(|_| ()).is_err_and(cancelled));
    let session = zoo.model(&request, &()).unwrap();
    let image = zoo_preprocess::open(support::checkpoints().join("images/portrait.png"), &Default::default());
    let images = [image.unwrap()];
    assert!(stopped.scope(|| session.look(&images, &())).map(|_| ()).is_err_and(cancelled));
    stop.store(false, Ordering::Relaxed);
    assert!(stopped.scope(|| session.look(&images, &())).is_ok());
}

/// LLaVA as transformers publishes it (nested configuration, other keys) is the LLaVA that it was made from.
#[test]
fn a_llava_of_transformers_is_the_original() {
    let from = support::checkpoints().join("llava-1.5");
    let original = Checkpoint::open(&[from.join("pytorch_model.bin.index.json")]).unwrap();
    let renamed = |key: &str| match key.strip_prefix("model.mm_projector.") {
        Some(rest) => {
            let (layer, rest) = rest.split_once('.').unwrap();
            let layer = if layer == "0" { "linear_1" } else { "linear_2" };
            format!("multi_modal_projector.{layer}.{rest}")
        }
        None => format!("language_model.{key}"),
    };
    let tensors: HashMap<String, Tensor> =
        original.keys().map(|key| (renamed(key), original.load(key).unwrap())).collect();
    let nest = |config: &mut Value| {
        *config = serde_json::json!({
            "model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "text_config": config,
            "vision_feature_layer": -2, "vision_config": {
                "hidden_size": 1024, "image_size": 336, "num_hidden_layers": 24, "patch_size": 14
            }
        });
    };
    let folder = copied("llava-1.5", nest, Some(&tensors));
    let session = opened(&zoo(), folder.path());
    let path = from.join("traces/portrait.json");
    let case: Case = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let (conversation, sight) = scene(&session, path.parent().unwrap(), &case);
    let golden = candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu).unwrap();
    check("llava of transformers", &session.trace(&conversation, &sight).unwrap(), &golden);
}

/// A folder that says of itself what Cambrian-8B's says, without its weights.
fn released_8b(zoo: &Zoo) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let registry = zoo.registry();
    let mut config = registry.llm("llama-3-8b-instruct").unwrap().arch.clone();
    let connector = &registry.connector("cambrian-8b-sva").unwrap().arch;
    config.extend(connector.iter().map(|(key, value)| (key.clone(), value.clone())));
    for (key, value) in [
        ("model_type", serde_json::json!("cambrian_llama")),
        ("mm_projector_type", "sva".into()),
        (
            "mm_vision_tower_aux_list",
            serde_json::json!([
                "siglip/CLIP-ViT-SO400M-14-384",
                "openai/clip-vit-large-patch14-336",
                "facebook/dinov2-giant-res378",
                "clip-convnext-XXL-multi-stage"
            ]),
        ),
        ("mm_vision_tower_aux_token_len_list", connector["token_lens"].clone()),
        ("image_position", 91.into()),
        ("mm_vision_select_layer", (-2).into()),
    ] {
        config.insert(key.into(), value);
    }
    fs::write(folder.path().join("config.json"), Value::Object(config).to_string()).unwrap();
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    let mark = Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).unwrap();
    let marks = HashMap::from([("model.mm_projector.0.weight", mark)]);
    candle_core::safetensors::save(&marks, folder.path().join("model.safetensors")).unwrap();
    folder
}

/// Before anything is loaded it is known what a model needs, and what is given up when that is too much.
#[test]
fn the_memory_of_the_largest_models_is_known_beforehand() {
    let zoo = zoo();
    let folder = released_8b(&zoo);
    let plan = |quantise, limit| {
        let memory = MemoryPolicy { limit, ..MemoryPolicy::default() };
        let request =
            ModelRequest { quantise, memory, ..ModelRequest::new(folder.path().display().to_string()) };
        zoo.plan_model(&request).unwrap()
    };
    let gib = |n: u64| Some(n << 30);
    let whole = plan(None, gib(1000));
    let names: Vec<&str> = whole.parts.iter().map(|part| part.role).collect();
    assert_eq!(names, ["encoder", "encoder", "encoder", "encoder", "connector", "language model"]);
    assert_eq!(whole.parts[4].parameters, 302_760_960);
    assert_eq!(whole.parts[5].weights, 8_030_261_248 * 4);
    assert_eq!(whole.cache_per_1000, 32 * 2 * 8 * 128 * 4 * 1000);
    assert!(whole.keep_encoders && whole.check().is_ok());

    // Matrices of layers and head in 4.5 bits; embeddings and norms in f32.
    let small = plan(Some(Quantisation::Q4K), gib(1000));
    let (embeddings, norms) = (128_256 * 4096, 65 * 4096);
    let matrices = 8_030_261_248 - embeddings - norms;
    assert_eq!(small.parts[5].weights, matrices * 9 / 16 + (embeddings + norms) * 4);
    assert_eq!(small.parts[5].dtype, "q4_k");
    assert!(small.dropped < small.resident && small.resident < 24 << 30, "{small}");

    let short = plan(Some(Quantisation::Q4K), Some(small.resident - 1));
    assert!(!short.keep_encoders && short.check().is_ok());
    let message = plan(None, gib(8)).check().unwrap_err().to_string();
    for part in ["--quantise q4_k", "--dtype bf16", "8.0 GiB are available", "KV cache"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}
