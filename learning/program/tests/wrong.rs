//! Data and endpoints that are wrong: one message with file and row, a code that is not zero, nothing lost of what was
//! right, and, once it is mended, the bytes of a run in which nothing was ever wrong.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use support::{Says, data, endpoint, files, row, run, said, same};
use zoo_records::{Place, Replace, Row, Spot, Writer};

const ITEMS: usize = 12;
const HTML: &str = "<html><body><h1>Bad gateway</h1></body></html>";

fn line(address: &str, out: &str) -> String {
    format!(
        "eval --model {address} --served m --tasks data/mine.toml --data data --out {out} --patience 1 --tries 2"
    )
}

fn rows() -> Vec<Value> {
    (0..ITEMS).map(row).collect()
}

fn stored(folder: &Path, out: &str) -> usize {
    std::fs::read_to_string(folder.join(out).join("mine/replies.jsonl"))
        .map_or(0, |text| text.lines().count())
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{text}\nlacks {part:?}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

/// The question `What is 5?` is answered by `wrong` until that is mended.
#[track_caller]
fn endpoint_that(wrong: fn() -> Says, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(&folder.join("data"), &rows());
    let mended = Arc::new(AtomicBool::new(false));
    let address = {
        let mended = mended.clone();
        endpoint(move |number, _| match number {
            5 if !mended.load(Ordering::SeqCst) => wrong(),
            number => Says::Text(said(number)),
        })
    };
    let text = run(folder, &line(&address, "run"), 1);
    says(&text, &["rows.jsonl:6", "1 question got no answer", "the same command asks them again"]);
    says(&text, parts);
    assert_eq!(stored(folder, "run"), ITEMS - 1);
    mended.store(true, Ordering::SeqCst);
    run(folder, &line(&address, "run"), 0);
    run(folder, &line(&address, "other"), 0);
    same(&files(&folder.join("run")), &files(&folder.join("other")), "mended");
}

#[test]
fn endpoints_that_do_not_answer() {
    endpoint_that(|| Says::Nothing, &["timeout", "2 tries"]);
    endpoint_that(
        || Says::Other(429, "retry-after: 0\r\n", "slow down"),
        &["HTTP 429", "slow down", "2 tries"],
    );
    endpoint_that(|| Says::Other(200, "content-type: text/html\r\n", HTML), &["no JSON", "Bad gateway"]);
    endpoint_that(
        || Says::Other(400, "", "{\"error\": {\"message\": \"no pictures\"}}"),
        &["HTTP 400", "no pictures"],
    );
}

#[test]
fn endpoints_that_are_busy_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(&folder.join("data"), &rows());
    let address = endpoint(|number, before| match (number, before) {
        (3, 0) => Says::Other(429, "retry-after: 0\r\n", ""),
        (8, 0) => Says::Other(503, "retry-after: 0\r\n", HTML),
        _ => Says::Text(said(number)),
    });
    run(folder, &line(&address, "run"), 0);
    assert_eq!(stored(folder, "run"), ITEMS);
}

#[test]
fn nobody_is_there() {
    let folder = tempfile::tempdir().unwrap();
    data(&folder.path().join("data"), &(0..60).map(row).collect::<Vec<_>>());
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = run(folder.path(), &line(&format!("http://127.0.0.1:{port}/v1"), "run"), 1);
    says(&text, &["rows.jsonl:1", "check that the server runs", "the others were not asked"]);
    assert!(!text.contains("judges the replies") && !text.contains("rows.jsonl:60"), "{text}");
}

/// The data after `spoil` are refused before anybody is asked; mended, they are asked.
#[track_caller]
fn data_that(spoil: impl Fn(&Path), parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(&folder.join("data"), &rows());
    spoil(&folder.join("data"));
    let address = endpoint(|number, _| Says::Text(said(number)));
    let text = run(folder, &line(&address, "run"), 1);
    says(&text, parts);
    assert!(!folder.join("run").exists(), "nothing was asked");
    std::fs::remove_dir_all(folder.join("data")).unwrap();
    data(&folder.join("data"), &rows());
    run(folder, &line(&address, "run"), 0);
}

/// Row 3 with some other values.
fn third(folder: &Path, change: impl Fn(&mut Value)) {
    let mut rows = rows();
    change(&mut rows[2]);
    data(folder, &rows);
}

#[test]
fn rows_that_cannot_be_asked() {
    data_that(
        |folder| third(folder, |row| *row = json!({ "quesiton": "?", "image": "2.png", "answer": "yes" })),
        &["rows.jsonl:3", "question"],
    );
    data_that(
        |folder| third(folder, |row| row["answer"] = json!(["yes", "no"])),
        &["rows.jsonl:3", "answer", "list"],
    );
    data_that(|folder| third(folder, |row| row["answer"] = Value::Null), &["rows.jsonl:3", "answer"]);
    data_that(
        |folder| third(folder, |row| _ = row.as_object_mut().unwrap().remove("image")),
        &["rows.jsonl:3", "image"],
    );
    data_that(
        |folder| {
            let text = std::fs::read_to_string(folder.join("rows.jsonl")).unwrap();
            std::fs::write(folder.join("rows.jsonl"), text.replacen("\"kind\":2}", "\"kind\":", 1)).unwrap();
        },
        &["rows.jsonl:3"],
    );
    data_that(|folder| std::fs::write(folder.join("rows.jsonl"), "").unwrap(), &["no row that is asked"]);
    data_that(|folder| std::fs::remove_file(folder.join("rows.jsonl")).unwrap(), &["`*.jsonl`", "--data"]);
}

/// The rows as Parquet.
fn parquet(path: &Path) {
    let mut writer = Writer::create(path, Replace::Never).unwrap();
    for (number, row) in rows().iter().enumerate() {
        let place = Place { path: Arc::from(Path::new("rows")), spot: Spot::Row(number as u64) };
        let fields = row.as_object().unwrap().iter();
        let fields = fields.map(|(name, value)| {
            (name.clone(), zoo_records::Value::parse(value.to_string().as_bytes()).unwrap())
        });
        writer.write(&Row::new(place, Arc::from(Path::new("")), fields.collect())).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn tables_that_are_broken() {
    let cut = |keep: fn(usize) -> usize| {
        move |folder: &Path| {
            let path = folder.join("rows.parquet");
            parquet(&path);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.truncate(keep(bytes.len()));
            std::fs::write(&path, bytes).unwrap();
        }
    };
    data_that(cut(|length| length / 2), &["rows.parquet"]);
    data_that(cut(|_| 0), &["rows.parquet"]);
    // The table of contents is whole, and what it points at is not.
    let spoilt = |folder: &Path| {
        let path = folder.join("rows.parquet");
        parquet(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 3;
        bytes[4..middle].fill(0xff);
        std::fs::write(&path, bytes).unwrap();
    };
    data_that(spoilt, &["rows.parquet"]);
}

#[test]
fn pictures_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(&folder.join("data"), &rows());
    let address = endpoint(|number, _| Says::Text(said(number)));
    std::fs::remove_file(folder.join("data/4.png")).unwrap();
    let text = run(folder, &line(&address, "run"), 1);
    says(&text, &["rows.jsonl:5", "4.png", "1 question got no answer"]);
    assert_eq!(stored(folder, "run"), ITEMS - 1);
    data(&folder.join("data"), &rows());
    run(folder, &line(&address, "run"), 0);
    run(folder, &line(&address, "other"), 0);
    same(&files(&folder.join("run")), &files(&folder.join("other")), "mended");
}
