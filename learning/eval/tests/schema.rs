//! The schema of task files, for editors: the file in `tasks/` is what the program prints, it takes every shipped task, and
//! refuses what reading a task refuses. `ZOO_UPDATE=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;

use serde_json::{Map, Value};
use zoo_eval::task::{self, Task};

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks/task.schema.json")
}

#[test]
fn the_file_is_what_the_program_prints() {
    let printed = format!("{:#}\n", task::schema());
    if std::env::var_os("ZOO_UPDATE").is_some() {
        std::fs::write(path(), &printed).unwrap();
    }
    let kept = std::fs::read_to_string(path()).unwrap_or_default();
    assert!(kept == printed, "run this test with ZOO_UPDATE=1 and review {}", path().display());
}

/// What `schema` has against `value`; a keyword that is not known here is a panic, so that nothing passes unseen.
fn against(root: &Value, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    let Some(schema) = schema.as_object() else {
        if *schema == Value::Bool(false) {
            out.push(format!("{at}: is not allowed"));
        }
        return;
    };
    let passes = |schema: &Value| {
        let mut faults = Vec::new();
        against(root, schema, value, at, &mut faults);
        faults.is_empty()
    };
    for (keyword, rule) in schema {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                against(root, &root["$defs"][name], value, at, out);
                true
            }
            "type" => one_or_many(rule).iter().any(|kind| is(kind, value)),
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "anyOf" => rule.as_array().unwrap().iter().any(passes),
            "oneOf" => rule.as_array().unwrap().iter().filter(|schema| passes(schema)).count() == 1,
            "allOf" => rule.as_array().unwrap().iter().all(passes),
            "minimum" => value.as_f64().is_none_or(|n| n >= rule.as_f64().unwrap()),
            "minItems" => value.as_array().is_none_or(|list| list.len() as u64 >= rule.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= rule.as_u64().unwrap()),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    against(root, rule, item, &format!("{at}[{index}]"), out);
                }
                true
            }
            "prefixItems" => {
                let items = value.as_array().into_iter().flatten();
                for (index, (rule, item)) in rule.as_array().unwrap().iter().zip(items).enumerate() {
                    against(root, rule, item, &format!("{at}[{index}]"), out);
                }
                true
            }
            "required" => {
                let object = value.as_object();
                let missing =
                    one_or_many(rule).into_iter().filter(|key| object.is_some_and(|o| !o.contains_key(key)));
                out.extend(missing.map(|key| format!("{at}: lacks {key}")));
                true
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        against(root, rule, value, &format!("{at}.{key}"), out);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
                for (key, value) in others(value, &known) {
                    against(root, rule, value, &format!("{at}.{key}"), out);
                }
                true
            }
            other => panic!("a keyword that this test does not know: {other}"),
        };
        if !holds {
            out.push(format!("{at}: {value} against {keyword} {rule}"));
        }
    }
}

fn others<'v>(value: &'v Value, known: &Map<String, Value>) -> Vec<(&'v String, &'v Value)> {
    value.as_object().into_iter().flatten().filter(|(key, _)| !known.contains_key(*key)).collect()
}

fn one_or_many(rule: &Value) -> Vec<String> {
    match rule {
        Value::Array(list) => list.iter().map(|value| value.as_str().unwrap().to_owned()).collect(),
        one => vec![one.as_str().unwrap().to_owned()],
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    }
}

fn faults(text: &str) -> Vec<String> {
    let schema = task::schema();
    let value: Value = toml::from_str(text).unwrap();
    let mut out = Vec::new();
    against(&schema, &schema, &value, "", &mut out);
    out
}

#[test]
fn every_shipped_task_is_allowed() {
    for name in task::names() {
        let text = task::shipped(name).unwrap().text;
        assert_eq!(faults(&text), Vec::<String>::new(), "{name}");
    }
}

/// `change` in the task of CV-Bench is refused by the schema and by whoever reads tasks.
#[track_caller]
fn refused(from: &str, to: &str) {
    let text = task::shipped("cv-bench").unwrap().text;
    assert!(text.contains(from), "{from}");
    let text = text.replacen(from, to, 1);
    assert!(!faults(&text).is_empty(), "the schema takes {to}");
    assert!(Task::parse("t.toml", text).is_err(), "{to} is read");
}

#[test]
fn what_is_wrong_is_refused_by_both() {
    refused("suffix = ", "sufix = ");
    refused("title = ", "tilte = ");
    refused("groups = [\"type\", ", "groups = [1, ");
    refused("form = \"letter\"", "form = \"letters\"");
    refused("paper = \"mcq-option\"", "paper = \"mcqs\"");
    refused("kind = \"cv-bench\"", "kind = \"cvbench\"");
    refused("[options]\ncolumn = \"choices\"", "[options]\ncolumn = 3");
    refused("[source]\n", "[source]\nurl = \"x\"\n");
    refused("task = \"task\"", "tasks = \"task\"");
}
