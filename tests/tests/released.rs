//! Model folders in the released layouts, from an image and a question to the next tokens, against an independent
//! implementation in torch (`tests/reference/cambrian.py`). The folders and the golden traces are made by
//! `tests/checkpoints/make.py`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use serde::Deserialize;
use zoo_host::{Folders, ModelRequest, ModelSession, Options, Sight, Trace, Zoo};
use zoo_language::template::Conversation;
use zoo_language::tokens::NewlineAfterImage;
use zoo_tests::golden::{BOUND, compare};

const PLUGINS: [&str; 10] = [
    "plugins/clip",
    "plugins/convnext",
    "plugins/dinov2",
    "plugins/gemma",
    "plugins/llama",
    "plugins/phi3",
    "plugins/projectors",
    "plugins/qwen2",
    "plugins/sva",
    "plugins/timm-vit",
];

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

fn checkpoints() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("checkpoints")
}

fn zoo() -> Zoo {
    let options = Options { plugin_dirs: vec![support::staged(&PLUGINS)], offline: true, ..Options::default() };
    let own = |name: &str| support::folder().join(name);
    Zoo::open_in(options, Folders { config: own("config"), data: own("data"), cache: own("cache") }).unwrap()
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
    let (zoo, folder) = (zoo(), checkpoints().join(name));
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
        let golden = candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu).unwrap();
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
            for entry in fs::read_dir(checkpoints()).unwrap() {
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
