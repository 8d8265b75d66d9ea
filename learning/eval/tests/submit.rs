//! Files for servers that judge, from data in the published schemas to the bytes that are sent.
//!
//! What each server takes: the Robust Reading Competition (DocVQA, InfographicVQA, ST-VQA) a list of objects with the
//! question's number and `answer`; MM-Vet one object from id to reply; EvalAI's VizWiz a list of `image`, the picture's
//! file name, and `answer`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use zoo_eval::dataset::{Dataset, Item};
use zoo_eval::run::{Answerer, Asking, Choices, Reply, Run, Seen, Shard, Watch, stored};
use zoo_eval::score::{Scorer, score};
use zoo_eval::submit::submission;
use zoo_eval::task::{Task, shipped};
use zoo_eval::{Error, Result};

const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

/// Says the beginning of the question, with white space around it.
struct First;

impl Answerer for First {
    fn prepare(&self, bytes: Vec<u8>) -> Result<Seen, String> {
        Ok(Seen::File(bytes))
    }

    fn answer(&self, item: &Item, _: Option<Seen>, _: &Asking) -> Result<Reply> {
        let text = format!("  {}\n", item.prompt.split('?').next().unwrap());
        Ok(Reply { text, finish: "stop".into(), tokens: None, choices: Vec::new() })
    }
}

struct Nobody;

impl Watch for Nobody {
    fn begins(&self, _: usize, _: usize) {}
    fn reply(&self, _: &Item, _: Result<&Reply, &Error>) {}
}

/// The file for the server of `task`, whose data are `rows`.
fn sent(task: &Task, folder: &Path, rows: &[Value]) -> Result<Value> {
    let file = task.spec.source.files.last().unwrap().get_ref().replace('*', "0.jsonl");
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    let dataset = Dataset::open(task, folder, None).unwrap();
    let asking = Asking { blind: false, choices: Choices::Written, max_new_tokens: None, limit: None };
    let stop = AtomicBool::new(false);
    let run = folder.join("run");
    let run = Run { dataset: &dataset, folder: &run, shard: Shard::WHOLE, asking: &asking, stop: &stop };
    assert!(run.go(&First, &Nobody).unwrap().failures.is_empty());
    Ok(submission(task, &stored(run.folder).unwrap())?.unwrap())
}

#[track_caller]
fn check(name: &str, rows: &[Value], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let task = shipped(name).unwrap();
    assert_eq!(sent(&task, folder.path(), rows).unwrap().to_string(), expected, "{name}");
}

fn row(id: (&str, Value), question: &str) -> Value {
    json!({ (id.0): id.1, "question": question, "image": PIXEL })
}

#[test]
fn each_server_gets_its_format() {
    let documents =
        [row(("questionId", json!("57344")), "Who?"), row(("questionId", json!(57345)), "What \"X\"?")];
    let expected = r#"[{"questionId":57344,"answer":"Who"},{"questionId":57345,"answer":"What \"X\""}]"#;
    check("docvqa", &documents, expected);
    check("infovqa", &documents, expected);
    check("st-vqa", &[row(("question_id", json!("11")), "Où?")], r#"[{"question_id":11,"answer":"Où"}]"#);
    check(
        "mm-vet",
        &[row(("question_id", json!("v1_0")), "x = ?"), row(("question_id", json!("v1_1")), "Y?")],
        r#"{"v1_0":"x =","v1_1":"Y"}"#,
    );
    check(
        "vizwiz-test",
        &[row(("question_id", json!("VizWiz_test_00000002")), "Is It RED?")],
        r#"[{"image":"VizWiz_test_00000002.jpg","answer":"is it red"}]"#,
    );
}

#[test]
fn a_server_that_wants_numbers_gets_none_but_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [row(("questionId", json!("seven")), "Who?")];
    let error = sent(&shipped("docvqa").unwrap(), folder.path(), &rows).unwrap_err().to_string();
    assert!(error.contains("docvqa") && error.contains("`seven`"), "{error}");
}

#[test]
fn tasks_without_a_server_send_nothing_and_those_with_one_have_no_score() {
    assert!(submission(&shipped("gqa").unwrap(), &[]).unwrap().is_none());
    for name in ["docvqa", "infovqa", "st-vqa", "mm-vet", "vizwiz-test"] {
        let task = shipped(name).unwrap();
        assert!(Scorer::ALL.into_iter().all(|scorer| score(&task, &[], scorer).is_none()), "{name}");
    }
}
