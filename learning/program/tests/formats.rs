//! Response formats stand where they are used: in the table that training appends from, in task files, and in the world's
//! questions. A model that learnt one wording must not be asked with another.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::sync::atomic::AtomicBool;

use serde_json::Value;
use zoo_data::prompt::{FORMATS, OPTION, WORD, format};
use zoo_eval::task;
use zoo_world::draw::Mix;
use zoo_world::write::{Begin, Format, Output, Pack, Plan, write};

/// What other harnesses ask with; nothing is trained on it.
const OTHERS: [&str; 2] = [
    "Please answer directly with only the letter of the correct option and nothing else.",
    "请直接回答选项字母。",
];

fn suffix(name: &str) -> Option<String> {
    task::shipped(name).unwrap().spec.suffix
}

#[test]
fn benchmarks_ask_with_the_words_of_training() {
    let mut trained = 0;
    for name in task::names() {
        let Some(suffix) = suffix(name) else { continue };
        let known = FORMATS.iter().any(|format| format.suffix == suffix);
        assert!(known || OTHERS.contains(&suffix.as_str()), "{name}: no training data ends with {suffix:?}");
        trained += usize::from(known);
    }
    assert!(trained >= 15, "{trained}");
    for (name, source) in [("chartqa", "ChartQA"), ("docvqa", "DocVQA"), ("vizwiz", "VizWiz")] {
        assert_eq!(suffix(name).as_deref(), format(source, "some words"), "{name}");
    }
}

#[test]
fn the_world_asks_with_them_too() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("world");
    let plan = Plan {
        seed: 1,
        side: 48,
        train: 12,
        val: 0,
        test: 0,
        mix: Mix::default(),
        outputs: vec![Output::Instruct],
        pack: Pack::Folder,
        format: Format::Jpg,
    };
    write(&out, &plan, Begin::Anew, &mut (), &AtomicBool::new(false)).unwrap();
    let text = std::fs::read_to_string(out.join("train/instruct.jsonl")).unwrap();
    let asked: Vec<String> = text
        .lines()
        .flat_map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["conversations"].as_array().unwrap().clone()
        })
        .filter(|turn| turn["from"] == "human")
        .map(|turn| turn["value"].as_str().unwrap().to_owned())
        .collect();
    for format in [WORD, OPTION] {
        assert!(asked.iter().any(|question| question.ends_with(format)), "{format}: {asked:?}");
    }
}
