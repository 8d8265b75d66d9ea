//! Runs side by side: tests that pair the same questions, and pages.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;

use zoo_eval::analyse::{Table, blind, html as analysis, ranking};
use zoo_eval::compare::{TASK_FILE, compare, csv, html, markdown, paired, scored};
use zoo_eval::published;
use zoo_eval::rules::Target;
use zoo_eval::run::{Asking, Choices, Manifest, Record, Shard, Store, TaskManifest, keep_task};
use zoo_eval::score::{Scorer, score};
use zoo_eval::suite::Group;
use zoo_eval::task::shipped;

fn records(right: impl Fn(usize) -> bool, count: usize) -> Vec<Record> {
    let record = |index: usize| Record {
        index: index as u64,
        id: index.to_string(),
        prompt: "?".into(),
        reply: if right(index) { "yes" } else { "no" }.into(),
        finish: "stop".into(),
        tokens: Some(1),
        choices: Vec::new(),
        picture: None,
        target: Target { answers: vec!["yes".into()], ..Target::default() },
        corrected: None,
        columns: [("category".to_owned(), "adversarial".to_owned())].into(),
    };
    (0..count).map(record).collect()
}

/// A run of POPE.
fn run(folder: &Path, model: &str, questions: &str, blind: bool, records: &[Record]) {
    let task = shipped("pope").unwrap();
    let about = TaskManifest {
        revision: task.revision.clone(),
        items: records.len(),
        max_new_tokens: 128,
        suffix: String::new(),
        files: Vec::new(),
        questions: questions.into(),
        example: None,
    };
    let asking = Asking { blind, choices: Choices::Written, max_new_tokens: None, limit: None };
    let tasks = [("pope".to_owned(), about)].into();
    Manifest { version: 1, model: model.into(), answerer: serde_json::json!({}), asking, tasks }
        .keep(folder)
        .unwrap();
    keep_task(&folder.join("pope").join(TASK_FILE), &task.text).unwrap();
    let (mut store, _) = Store::open(&folder.join("pope"), Shard::WHOLE).unwrap();
    for record in records {
        store.add(record).unwrap();
    }
    store.finish().unwrap();
}

#[test]
fn mcnemars_test_over_the_same_questions() {
    let task = shipped("pope").unwrap();
    let of = |right: &dyn Fn(usize) -> bool| score(&task, &records(right, 100), Scorer::Paper).unwrap();
    // 12 questions only the first has right, 2 only the second.
    let (a, b) = (of(&|i| i < 70), of(&|i| (12..72).contains(&i)));
    let found = paired(&a, &b).unwrap();
    assert_eq!((found.better, found.worse), (12, 2));
    assert!((found.difference - 10.0).abs() < 1e-9);
    // scipy.stats.binomtest(2, 14).pvalue
    assert!((found.p - 0.012_939_453_125).abs() < 1e-12, "{}", found.p);
    let (low, high) = found.interval;
    assert!(low > 2.0 && high < 18.0 && low < 10.0 && high > 10.0, "{low} to {high}");
    assert!(paired(&a, &score(&task, &records(|_| true, 99), Scorer::Paper).unwrap()).is_none());
}

#[test]
fn runs_are_compared_where_they_answered_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    run(&at("a"), "one", "same", false, &records(|i| i % 2 == 0, 40));
    run(&at("b"), "two | <b>", "same", false, &records(|i| i % 4 != 0, 40));
    run(&at("c"), "three", "other", false, &records(|_| true, 40));
    let scored = |name: &str| scored(&at(name), Scorer::Paper).unwrap();
    let comparison = compare(&[scored("a"), scored("b")], Scorer::Paper).unwrap();
    let cell = comparison.tasks[0].cells[1].clone().unwrap();
    assert_eq!((cell.value, cell.items, cell.parsed), (75.0, 40, 100.0));
    assert!((cell.against.unwrap().difference - 25.0).abs() < 1e-9);
    let page = markdown(&comparison);
    assert!(page.contains("| POPE | 50.0 [") && page.contains("two \\| <b>"), "{page}");
    assert!(html(&comparison).contains("two | &lt;b&gt;"));
    assert_eq!(csv(&comparison).lines().count(), 3);
    let error = compare(&[scored("a"), scored("c")], Scorer::Paper).unwrap_err().to_string();
    assert!(error.contains("different questions"), "{error}");
    let error = run_again(&at("a"));
    assert!(error.contains("the data of task `pope`") && error.contains("--out"), "{error}");
}

/// A run that goes on with other data is refused.
fn run_again(folder: &Path) -> String {
    let mut manifest = Manifest::open(folder).unwrap();
    manifest.tasks.get_mut("pope").unwrap().questions = "changed".into();
    manifest.keep(folder).unwrap_err().to_string()
}

#[test]
fn replies_that_cannot_be_read_are_no_score() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "one", "same", false, &records(|_| true, 3));
    let replies = folder.path().join("pope/replies.jsonl");
    let text = std::fs::read_to_string(&replies).unwrap();
    std::fs::write(&replies, text.replacen('{', "{broken", 2)).unwrap();
    let error = scored(folder.path(), Scorer::Paper).unwrap_err().to_string();
    assert!(error.contains("replies.jsonl: line 1: no reply"), "{error}");
    // Nothing yet is no error: the other tasks of a run that was stopped have their scores.
    std::fs::write(&replies, "").unwrap();
    let none = scored(folder.path(), Scorer::Paper).unwrap();
    assert_eq!(none.without, [("pope".to_owned(), "there are no replies yet".to_owned())]);
    std::fs::remove_file(&replies).unwrap();
    assert_eq!(scored(folder.path(), Scorer::Paper).unwrap().without, none.without);
}

#[test]
fn the_papers_tables_are_analysed() {
    let table = Table::paper();
    assert!(
        table.rows.len() >= 25 && table.columns.len() == 16,
        "{} x {}",
        table.rows.len(),
        table.columns.len()
    );
    let (page, pictures) = analysis(&table, &[]).unwrap();
    let names: Vec<&str> = pictures.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["correlations", "components"]);
    assert_eq!(names.len(), 2 + Group::ALL.len());
    for (name, svg) in &pictures {
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{name}");
    }
    // A cell for each pair, with its number, and the colours of the groups; a bracket for each merge.
    assert_eq!(pictures[0].1.matches("<rect x=").count(), 16 * 16 + Group::ALL.len());
    assert!(pictures[0].1.matches("stroke=\"#555\"").count() >= 3 * 15);
    assert!(page.contains("DocVQA") && page.contains("principal components"));
}

#[test]
fn encoders_are_ranked_by_group() {
    let table = Table::published(published::encoders());
    let places = ranking(&table, Group::Ocr);
    assert_eq!(places.len(), 7);
    // Text needs ConvNeXt: without it comes last.
    assert_eq!(places.last().unwrap().name, "SigLIP+DINOv2");
    let place = &places[0];
    assert!(place.interval.0 < place.mean && place.mean < place.interval.1);
    assert!(places.windows(2).all(|pair| pair[0].mean >= pair[1].mean));
}

#[test]
fn seeing_beside_blind_beside_guessing() {
    let folder = tempfile::tempdir().unwrap();
    run(&folder.path().join("a"), "one", "same", false, &records(|i| i % 10 != 0, 40));
    run(&folder.path().join("b"), "one", "same", true, &records(|i| i % 2 != 0, 40));
    let scored = |name: &str| scored(&folder.path().join(name), Scorer::Paper).unwrap();
    let bars = blind(&scored("a"), &scored("b"));
    assert_eq!((bars[0].seeing, bars[0].blind, bars[0].chance), (90.0, 50.0, Some(50.0)));
    let (_, pictures) = analysis(&Table::paper(), &bars).unwrap();
    assert!(pictures.iter().any(|(name, svg)| name == "blind" && svg.contains("POPE")));
}

#[test]
fn tables_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scores.csv");
    std::fs::write(&path, "model,A,B,C\nx,1,2,-\ny,2,3,\nz,3,5,4\nw,4,4,6\n").unwrap();
    let table = Table::open(&path).unwrap();
    assert_eq!(table.values[0], [Some(1.0), Some(2.0), None]);
    assert_eq!(table.complete().rows, ["z", "w"]);
    assert!(analysis(&table, &[]).unwrap_err().to_string().contains("three or more"));
    std::fs::write(&path, "model,A\nx,nan\n").unwrap();
    assert!(Table::open(&path).unwrap_err().to_string().contains("`nan` in `A` is no number"));
    std::fs::write(&path, "model,A\nx,one\n").unwrap();
    let error = Table::open(&path).unwrap_err().to_string();
    assert!(error.contains("scores.csv:2") && error.contains("`one` in `A`"), "{error}");
}
