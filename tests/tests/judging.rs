//! A model that is judged from end to end: the one that the program carries, on pictures that it was not trained on, with
//! three kinds of tasks; stopped and continued, and in parts.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use zoo_core::Precision;
use zoo_eval::dataset::{Dataset, Item};
use zoo_eval::run::{
    Answerer, Asking, Choices, Local, Outcome, Record, Reply, Run, Shard, Watch, fingerprint, stored,
};
use zoo_eval::score::{Scorer, score};
use zoo_eval::task::{Task, shipped};
use zoo_host::ModelRequest;
use zoo_models::TRILOBITE;

const PLUGINS: [&str; 4] = ["plugins/clip", "plugins/convnext", "plugins/llama", "plugins/sva"];

const ASKING: Asking = Asking { blind: false, choices: Choices::Written, max_new_tokens: None, limit: None };

/// Yes or no.
const EXISTENCE: &str = r#"
name = "existence"
title = "Existence"
keep = 'type == "existence"'
prompt = "{{ question }}"
[source]
files = ["questions.jsonl"]
[image]
column = "image"
[answer]
column = "answer"
form = "text"
[rules]
paper = "yes-no"
cambrian = "exact"
lmms-eval = "lmms-mme"
vlmeval = "vlm-yes-no"
"#;

/// One of several, by its text.
const COLOUR: &str = r#"
name = "colour"
title = "Colour"
prompt = "{{ question }}"
[source]
files = ["colours.jsonl"]
[image]
path = "{{ image }}"
[options]
column = "options"
[answer]
column = "answer"
form = "option"
[rules]
paper = "letter"
vlmeval = "vlm-mcq"
"#;

fn holdout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../inputs/models/trilobite/holdout")
}

fn questions() -> Vec<Value> {
    let text = std::fs::read_to_string(holdout().join("questions.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Stops after some replies.
struct Counting<'a> {
    left: Cell<usize>,
    stop: &'a AtomicBool,
}

impl Watch for Counting<'_> {
    fn begins(&self, _: usize, _: usize) {}
    fn reply(&self, _: &Item, reply: zoo_eval::Result<&Reply, &zoo_eval::Error>) {
        reply.unwrap();
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

fn go(
    answerer: &(dyn Answerer + Sync),
    dataset: &Dataset,
    folder: &Path,
    shard: Shard,
    asking: &Asking,
    most: usize,
) -> Outcome {
    let stop = AtomicBool::new(false);
    let run = Run { dataset, folder, shard, asking, stop: &stop };
    run.go(answerer, &Counting { left: Cell::new(most), stop: &stop }).unwrap()
}

fn replies(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.reply.as_str()).collect()
}

#[test]
fn three_kinds_of_tasks_from_end_to_end() {
    static NEVER: AtomicBool = AtomicBool::new(false);
    let zoo = support::zoo(&PLUGINS, Precision::F32);
    let model = TRILOBITE.unpack(&support::folder().join("models")).unwrap();
    let session = zoo.model(&ModelRequest::new(model.display().to_string()), &()).unwrap();
    let local = Local::new(session, zoo_preprocess::DecodeOptions::default(), 1, &NEVER);
    let about = local.describe().unwrap();
    assert_eq!(about["fingerprint"], fingerprint(&model).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);

    // Free text: the replies are those of the same weights in torch, word by word.
    let shapes = Dataset::open(&shipped("shapes").unwrap(), &holdout(), Some(40)).unwrap();
    let outcome = go(&local, &shapes, &at("shapes"), Shard::WHOLE, &ASKING, 7);
    assert!(outcome.stopped && outcome.done < 40, "{outcome:?}");
    assert_eq!(go(&local, &shapes, &at("shapes"), Shard::WHOLE, &ASKING, usize::MAX).done, 40);
    let whole = stored(&at("shapes")).unwrap();
    let reference: Vec<String> =
        questions().iter().take(40).map(|q| q["reference"].as_str().unwrap().to_owned()).collect();
    assert_eq!(replies(&whole), reference);
    let scored = score(&shipped("shapes").unwrap(), &whole, Scorer::Paper).unwrap();
    let right = questions().iter().take(40).filter(|q| q["answer"] == q["reference"]).count();
    assert!((scored.score.unwrap().value - 100.0 * right as f64 / 40.0).abs() < 1e-9);

    // In parts, to the same replies.
    for part in ["1/2", "2/2"] {
        go(&local, &shapes, &at("parts"), Shard::parse(part).unwrap(), &ASKING, usize::MAX);
    }
    assert_eq!(stored(&at("parts")).unwrap(), whole);

    // Yes or no, by four rules.
    let existence = Task::parse("existence.toml", EXISTENCE.to_owned()).unwrap();
    let dataset = Dataset::open(&existence, &holdout(), None).unwrap();
    assert_eq!(dataset.items.len(), questions().iter().filter(|q| q["type"] == "existence").count());
    go(&local, &dataset, &at("existence"), Shard::WHOLE, &ASKING, usize::MAX);
    let records = stored(&at("existence")).unwrap();
    let by = |scorer| score(&existence, &records, scorer).unwrap().score.unwrap().value;
    assert!(by(Scorer::Paper) > 60.0, "{}", by(Scorer::Paper));
    assert!(
        Scorer::ALL.into_iter().all(|scorer| by(scorer) == by(Scorer::Paper)),
        "plain replies leave no room"
    );
    assert_eq!(score(&existence, &records, Scorer::Paper).unwrap().parsed, 100.0);

    // Blind: the same prompts, other replies to some.
    let blind = Asking { blind: true, ..ASKING };
    go(&local, &dataset, &at("blind"), Shard::WHOLE, &blind, usize::MAX);
    let unseen = stored(&at("blind")).unwrap();
    assert!(unseen.iter().zip(&records).all(|(a, b)| a.prompt == b.prompt && a.picture == b.picture));
    assert_ne!(replies(&unseen), replies(&records));

    // One of several options.
    let colours = ["red", "green", "blue", "black", "white", "yellow", "orange", "purple"];
    let rows: String = questions()
        .iter()
        .filter(|q| q["type"] == "colour")
        .map(|q| format!("{}\n", json!({ "image": q["image"], "question": q["question"], "answer": q["answer"], "options": colours })))
        .collect();
    std::fs::create_dir_all(at("data")).unwrap();
    std::fs::write(at("data").join("colours.jsonl"), &rows).unwrap();
    for question in questions() {
        let name = question["image"].as_str().unwrap();
        std::fs::copy(holdout().join(name), at("data").join(name)).unwrap();
    }
    let colour = Task::parse("colour.toml", COLOUR.to_owned()).unwrap();
    let dataset = Dataset::open(&colour, &at("data"), None).unwrap();
    go(&local, &dataset, &at("colour"), Shard::WHOLE, &ASKING, usize::MAX);
    let records = stored(&at("colour")).unwrap();
    let paper = score(&colour, &records, Scorer::Paper).unwrap();
    let right = questions().iter().filter(|q| q["type"] == "colour" && q["answer"] == q["reference"]).count();
    assert!((paper.score.unwrap().value - 100.0 * right as f64 / records.len() as f64).abs() < 1e-9);
    assert_eq!(paper.chance, Some(12.5));
    assert!(score(&colour, &records, Scorer::LmmsEval).is_none(), "no rule of that harness is known for it");
}
