//! Every benchmark's file asks, byte for byte, what the reference's code asks about the same rows; and every shipped file
//! can be meant. `golden/prompts.py` ran that code.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use zoo_eval::dataset::Dataset;
use zoo_eval::task::{self, Task};

#[derive(Deserialize)]
struct Case {
    row: Map<String, Value>,
    prompt: String,
}

fn golden() -> BTreeMap<String, Vec<Case>> {
    serde_json::from_str(include_str!("../golden/prompts.json")).unwrap()
}

/// Writes rows where the task looks for them.
fn lay_out(task: &Task, rows: &[Map<String, Value>], folder: &Path) {
    let lines = |rows: &[Map<String, Value>]| -> String {
        rows.iter().map(|row| format!("{}\n", Value::Object(row.clone()))).collect()
    };
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    match task.name() {
        "mmvp" => {
            let mut text = String::from("lndex,Question,Options,Correct Answer\n");
            for row in rows {
                let cell =
                    |name: &str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
                let cells = ["Index", "Question", "Options", "Correct Answer"]
                    .map(|name| format!("\"{}\"", cell(name)));
                text.push_str(&(cells.join(",") + "\n"));
            }
            write("Questions.csv", text);
        }
        "gqa" => {
            write("testdev_balanced_instructions/a.jsonl", lines(rows));
            let pictures = rows.iter().map(|row| {
                Map::from_iter([("id".into(), row["imageId"].clone()), ("image".into(), "x.png".into())])
            });
            write("testdev_balanced_images/a.jsonl", lines(&pictures.collect::<Vec<_>>()));
        }
        "q-bench" => write(
            "llvisionqa_dev.json",
            Value::from(rows.iter().cloned().map(Value::Object).collect::<Vec<_>>()).to_string(),
        ),
        "cv-bench" => write("test_2d.jsonl", lines(rows)),
        "v-star" => write("test_questions.jsonl", lines(rows)),
        "ade" | "coco" | "omni" => write("train-0.jsonl", lines(rows)),
        _ => {
            let pattern = task.spec.source.files[0].get_ref().replace('*', "0");
            write(&format!("{pattern}.jsonl"), lines(rows));
        }
    }
}

#[test]
fn every_task_asks_what_the_reference_asks() {
    for (name, cases) in golden() {
        let task = task::shipped(&name).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let rows: Vec<_> = cases.iter().map(|case| case.row.clone()).collect();
        lay_out(&task, &rows, folder.path());
        let dataset =
            Dataset::open(&task, folder.path(), None).unwrap_or_else(|error| panic!("{name}: {error}"));
        let asked: Vec<&str> = dataset.items.iter().map(|item| item.prompt.as_str()).collect();
        let expected: Vec<&str> = cases.iter().map(|case| case.prompt.as_str()).collect();
        assert_eq!(asked, expected, "{name}");
    }
}

#[test]
fn every_shipped_task_is_covered() {
    let golden = golden();
    for name in task::names() {
        let task = task::shipped(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(task.name(), name, "a task is called as its file");
        assert!(
            golden.contains_key(name) || ["shapes", "vizwiz-test"].contains(&name),
            "{name} is not compared"
        );
    }
    assert_eq!(golden.len() + 2, task::names().count());
    // The other split of a task that is compared.
    let asked = |name: &str| {
        let spec = task::shipped(name).unwrap().spec;
        (spec.prompt.into_inner(), spec.suffix, spec.generation.max_new_tokens)
    };
    assert_eq!(asked("vizwiz-test"), asked("vizwiz"));
}

#[test]
fn the_schema_has_every_key_that_a_shipped_task_uses() {
    let schema = task::schema();
    let properties = schema["properties"].as_object().unwrap();
    for name in task::names() {
        for line in task::shipped(name).unwrap().text.lines() {
            let key = line.split([' ', '=']).next().unwrap_or("").trim_matches(['[', ']']);
            let top = key.split('.').next().unwrap_or("");
            if line.starts_with('[') {
                assert!(properties.contains_key(top), "{name}: {line}");
            }
        }
    }
}

#[track_caller]
fn check(text: &str, messages: &[&str]) {
    let error = Task::parse("mine.toml", text.to_owned()).unwrap_err().to_string();
    for message in messages {
        assert!(error.contains(message), "{error}");
    }
}

const MINE: &str = r#"
name = "mine"
title = "Mine"
prompt = "{{ question }}"
[source]
files = ["*.jsonl"]
[image]
column = "image"
[answer]
column = "answer"
form = "text"
[rules]
paper = "equal"
"#;

#[test]
fn a_task_of_ones_own_is_thirteen_lines() {
    Task::parse("mine.toml", MINE.to_owned()).unwrap();
}

#[test]
fn what_is_wrong_is_shown_in_its_place() {
    check(&MINE.replace("question }}", "question }"), &["mine.toml:4:", "no template"]);
    check(&MINE.replace("\"equal\"", "\"eqal\""), &["mine.toml:13:", "eqal"]);
    check(&MINE.replace("title", "titel"), &["mine.toml:3:", "titel"]);
    check(&MINE.replace("\"text\"", "\"index\""), &["mine.toml:9:", "there are none", "[options]"]);
    check(&MINE.replace("name = \"mine\"", "name = \"My task\""), &["mine.toml:2:", "lower-case"]);
    check(&MINE.replace("\"equal\"", "\"submission\""), &["[submission]", "belong together"]);
    check(&MINE.replace("*.jsonl", "[.jsonl"), &["mine.toml:6:", "no pattern"]);
    let error = task::shipped("cvbench").unwrap_err().to_string();
    assert!(error.contains("cv-bench"), "{error}");
}

/// A task over one line of JSON.
fn read(task: &str, line: &str) -> Result<Dataset, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jsonl"), format!("{line}\n")).unwrap();
    let task = Task::parse("mine.toml", task.to_owned()).unwrap();
    Dataset::open(&task, folder.path(), None).map_err(|error| error.to_string())
}

#[test]
fn what_is_wrong_with_data_names_file_row_and_column() {
    let good = r#"{"question": "q", "image": "x.png", "answer": "a"}"#;
    assert_eq!(read(MINE, good).unwrap().items.len(), 1);
    let cases = [
        (MINE.to_owned(), good.replace("answer", "anwser"), vec!["a.jsonl:1", "answer", "anwser"]),
        (MINE.to_owned(), good.replace("question", "questoin"), vec!["a.jsonl:1", "prompt"]),
        (MINE.to_owned(), good.replace("\"x.png\"", "null"), vec!["a.jsonl:1", "image", "no picture"]),
        (
            MINE.replace("\"text\"", "\"texts\"\ncount = 2"),
            good.to_owned(),
            vec!["a.jsonl:1", "1 answers, and there must be 2"],
        ),
        (
            MINE.replace("\"text\"", "\"letter\""),
            good.replace("\"a\"", "\"ab\""),
            vec!["a.jsonl:1", "letter"],
        ),
        (MINE.to_owned(), "{".to_owned(), vec!["a.jsonl:1"]),
        (MINE.replace("*.jsonl", "*.csv"), good.to_owned(), vec!["no data", "`*.csv`", "--data"]),
    ];
    for (task, line, messages) in cases {
        let error = read(&task, &line).err().unwrap_or_else(|| panic!("{line} was read"));
        for message in messages {
            assert!(error.contains(message), "{error} lacks {message}");
        }
    }
}
