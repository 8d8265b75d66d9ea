//! Sums over whole files, against the reference's own code where it has one.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;

use serde::Deserialize;
use zoo_eval::rules::Target;
use zoo_eval::run::Record;
use zoo_eval::score::{Scorer, TaskScore, score};
use zoo_eval::task::shipped;

#[derive(Deserialize)]
struct Golden {
    files: Vec<Answers>,
}

/// A file of right and wrong answers, and what the reference makes of it.
#[derive(Deserialize)]
struct Answers {
    right: String,
    categories: Vec<String>,
    groups: Vec<u64>,
    mme: [f64; 2],
    mmvp: f64,
    accuracy: f64,
    circular: f64,
}

fn record(index: usize, right: bool, target: Target, columns: &[(&str, String)]) -> Record {
    let reply = match (&target.letter, right) {
        (Some(letter), true) => letter.to_string(),
        (Some(_), false) => "D".into(),
        (None, true) => target.answers[0].clone(),
        (None, false) => "maybe".into(),
    };
    Record {
        index: index as u64,
        id: index.to_string(),
        prompt: String::new(),
        reply,
        finish: "stop".into(),
        tokens: None,
        choices: Vec::new(),
        picture: None,
        target,
        corrected: None,
        columns: columns.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}

fn letter() -> Target {
    Target { letter: Some('A'), options: vec!["x".into(), "y".into()], ..Target::default() }
}

fn text(answer: &str) -> Target {
    Target { answers: vec![answer.into()], ..Target::default() }
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
}

fn value(score: &TaskScore, figure: &str) -> f64 {
    score.figure(figure).unwrap_or_else(|| panic!("{figure} of {:?}", score.figures)).value
}

#[test]
fn files_add_up_as_the_references_do() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/harnesses.json")).unwrap();
    assert!(golden.files.len() >= 20);
    for file in golden.files {
        let right: Vec<bool> = file.right.chars().map(|c| c == '1').collect();
        let all =
            |target: fn() -> Target, columns: &dyn Fn(usize) -> Vec<(&'static str, String)>| -> Vec<Record> {
                right.iter().enumerate().map(|(i, right)| record(i, *right, target(), &columns(i))).collect()
            };
        let mme = all(|| text("Yes"), &|i| {
            vec![("category", file.categories[i].clone()), ("question_id", (i / 2).to_string())]
        });
        let scored = score(&shipped("mme").unwrap(), &mme, Scorer::Cambrian).unwrap();
        near(scored.score.as_ref().map_or(0.0, |s| s.value), file.mme[0]);
        near(scored.figure("cognition").map_or(0.0, |f| f.value), file.mme[1]);

        let pairs = all(letter, &|i| vec![("number", (i + 1).to_string())]);
        let scored = score(&shipped("mmvp").unwrap(), &pairs, Scorer::Cambrian).unwrap();
        near(scored.score.unwrap().value, 100.0 * file.mmvp);

        let variants = all(letter, &|i| {
            vec![("category", file.categories[i].clone()), ("question", file.groups[i].to_string())]
        });
        let scored = score(&shipped("mmbench-en").unwrap(), &variants, Scorer::Cambrian).unwrap();
        near(value(&scored, "score"), 100.0 * file.circular);
        near(value(&scored, "accuracy of the variants"), 100.0 * file.accuracy);
    }
}

#[test]
fn pairs_do_not_depend_on_the_order_of_lines() {
    let images = [("count", "1", true, true), ("count", "2", true, false), ("OCR", "3", false, false)];
    let mut records = Vec::new();
    for (category, image, yes, no) in images {
        for (answer, right) in [("Yes", yes), ("No", no)] {
            let columns = [("category", category.to_owned()), ("question_id", image.to_owned())];
            records.push(record(records.len(), right, text(answer), &columns));
        }
    }
    let task = shipped("mme").unwrap();
    let first = score(&task, &records, Scorer::Paper).unwrap();
    // count: 3 of 4 right, 1 of 2 images whole; OCR: nothing.
    near(first.score.as_ref().unwrap().value, 75.0 + 50.0);
    records.reverse();
    let second = score(&task, &records, Scorer::Paper).unwrap();
    near(second.score.unwrap().value, first.score.unwrap().value);
}

fn cv(source: &str, task: &str, count: usize, right: usize, from: usize) -> Vec<Record> {
    let columns = [("source", source.to_owned()), ("task", task.to_owned())];
    (0..count).map(|i| record(from + i, i < right, letter(), &columns)).collect()
}

#[test]
fn sources_of_cv_bench_weigh_the_same_whatever_their_counts() {
    // The published counts: 805 items of COCO, all right; 633 of ADE20K, all wrong.
    let two_d = [
        cv("COCO", "Count", 500, 500, 0),
        cv("COCO", "Relation", 305, 305, 500),
        cv("ADE20K", "Count", 633, 0, 805),
    ]
    .concat();
    let task = shipped("cv-bench").unwrap();
    let scored = score(&task, &two_d, Scorer::Paper).unwrap();
    near(value(&scored, "2D"), 50.0);
    assert!(scored.score.is_none(), "without the other half there is no whole");
    assert!(value(&scored, "share of all items") > 55.0, "the plain share is another number");
    let all = [two_d, cv("Omni3D", "Depth", 1200, 600, 1438)].concat();
    let scored = score(&task, &all, Scorer::Paper).unwrap();
    near(value(&scored, "score"), 50.0);
    near(value(&scored, "3D"), 50.0);
    near(value(&scored, "Count"), 100.0 * 500.0 / 1133.0);
    let (low, high) = scored.score.unwrap().interval.unwrap();
    assert!(low > 47.0 && high < 53.0 && low < 50.0, "{low} to {high}");
    // Others print another number under the same name.
    let plain = score(&task, &all, Scorer::LmmsEval).unwrap().score.unwrap().value;
    near(plain, 100.0 * (805.0 + 600.0) / 2638.0);
    assert!(score(&task, &all, Scorer::Vlmeval).unwrap().score.is_none());
}

#[test]
fn corrected_labels_are_reported_beside_the_original_ones() {
    let columns = |n: usize| [("number", n.to_string())];
    let mut records: Vec<Record> =
        [99, 100].into_iter().map(|n| record(n - 1, true, letter(), &columns(n))).collect();
    for record in &mut records {
        record.corrected = Some(Target { letter: Some('B'), ..letter() });
    }
    let task = shipped("mmvp").unwrap();
    let paper = score(&task, &records, Scorer::Paper).unwrap();
    near(value(&paper, "score"), 100.0);
    near(value(&paper, "with corrected labels"), 0.0);
    let lmms = score(&task, &records, Scorer::LmmsEval).unwrap();
    near(value(&lmms, "score"), 0.0);
    near(value(&lmms, "with the original labels"), 100.0);
}

#[test]
fn groups_have_the_names_that_their_task_gives_them() {
    let records: Vec<Record> = (0..4)
        .map(|i| record(i, i < 3, letter(), &[("question_type_id", (i / 2 + 1).to_string())]))
        .collect();
    let scored = score(&shipped("seed-i").unwrap(), &records, Scorer::Paper).unwrap();
    let groups: BTreeMap<&str, f64> =
        scored.groups["question_type_id"].iter().map(|figure| (figure.name.as_str(), figure.value)).collect();
    assert_eq!(groups, BTreeMap::from([("Scene Understanding", 100.0), ("Instance Identity", 50.0)]));
    assert_eq!(scored.chance, Some(50.0));
    assert_eq!(scored.parsed, 75.0, "`D` is the letter of no option");
}
