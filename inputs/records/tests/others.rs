//! Tables that others wrote (`golden/make.py`), read in order and by place.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::{Path, PathBuf};

use zoo_records::{Options, Row, Table, Value};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// All rows, which are the same in any order of reading.
#[track_caller]
fn rows(name: &str, options: Options) -> Vec<Row> {
    let open = || Table::open(&[golden(name)], options.clone()).unwrap();
    let rows: Vec<Row> = open().rows().collect::<Result<_, _>>().unwrap();
    if !name.ends_with(".gz") {
        let index = open().index().unwrap();
        assert_eq!(index.len(), rows.len(), "{name}");
        // Not in their order.
        for row in (0..rows.len()).rev() {
            assert_eq!(index.get(row).unwrap().fields(), rows[row].fields(), "{name}, row {row}");
        }
    }
    rows
}

#[test]
fn parquet_of_the_hub() {
    for codec in ["snappy", "zstd", "lz4", "none"] {
        let rows = rows(&format!("hub-{codec}.parquet"), Options::default());
        assert_eq!(rows.len(), 5, "{codec}");
        let row = &rows[3];
        assert_eq!(row.text("question").unwrap(), "Question 3?");
        assert_eq!(row.integer("index").unwrap(), 3);
        assert_eq!(row.texts("choices").unwrap(), ["yes", "no"]);
        assert_eq!(rows[2].list("choices").unwrap(), []);
        assert_eq!(rows[2].maybe_text("answer").unwrap(), None);
        assert_eq!(row.number("score").unwrap(), 1.0);
        assert!(row.flag("exact").unwrap());
        assert_eq!(&row.picture("image").unwrap().read().unwrap()[1..4], b"PNG");
        let turns = row.list("nested").unwrap();
        assert_eq!(turns[1].get("value").and_then(Value::as_text), Some("a"));
        assert!(row.place().to_string().ends_with(&format!("hub-{codec}.parquet, row 3")), "{}", row.place());
    }
}

#[test]
fn columns_are_chosen_and_renamed() {
    let columns = |names: &[&str]| Some(names.iter().map(|n| n.to_string()).collect());
    let rename = vec![("prompt".to_owned(), "question".to_owned())];
    let options = Options { columns: columns(&["prompt", "index"]), rename, ..Options::default() };
    for name in ["hub-snappy.parquet", "bench.tsv"] {
        let rows = rows(name, options.clone());
        let names: Vec<&str> = rows[0].fields().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["index", "prompt"], "{name}");
    }
    for name in ["hub-snappy.parquet", "bench.tsv", "bench.csv.gz"] {
        let options = Options { columns: columns(&["Question"]), ..Options::default() };
        let message = Table::open(&[golden(name)], options).err().unwrap().to_string();
        assert!(message.contains("there is no column `Question`"), "{message}");
        assert!(message.contains("did you mean `question`?"), "{message}");
    }
}

#[test]
fn types_of_pandas() {
    let message = Table::open(&[golden("pandas.parquet")], Options::default()).err().unwrap().to_string();
    assert!(message.contains("column `when` is Timestamp"), "{message}");
    let columns = Some(vec!["kind".to_owned(), "small".to_owned()]);
    let rows = rows("pandas.parquet", Options { columns, ..Options::default() });
    assert_eq!(rows[1].fields(), [("kind".into(), "b".into()), ("small".into(), Value::Null)]);
    assert_eq!(rows[2].integer("small").unwrap(), 3);
}

#[test]
fn tables_of_text() {
    for name in ["bench.tsv", "bench.csv.gz"] {
        let rows = rows(name, Options::default());
        assert_eq!(rows[0].text("question").unwrap(), "What does \"it\" say?\nA line");
        assert_eq!(rows[0].text("A").unwrap(), "one\ttab");
        assert_eq!(rows[0].maybe_text("C").unwrap(), None);
        assert_eq!(rows[1].integer("index").unwrap(), 8);
        // The first row has a line break in it.
        assert!(rows[1].place().to_string().ends_with(&format!("{name}:4")), "{}", rows[1].place());
    }
    let rows = rows("bench.tsv", Options::default());
    assert_eq!(&rows[1].picture("image").unwrap().read().unwrap()[1..4], b"PNG");
}

#[test]
fn archives_of_both_traditions() {
    for name in ["gnu.tar", "pax.tar"] {
        let rows = rows(name, Options::default());
        assert_eq!(rows.len(), 3, "{name}");
        for (i, row) in rows.iter().enumerate() {
            let key = format!("deep/{}s{i}", if i == 1 { "long-".repeat(30) } else { String::new() });
            assert_eq!(row.text("__key__").unwrap(), key);
            let names: Vec<&str> = row.fields().iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["id", "image", "txt", "mask"]);
            assert_eq!(row.integer("id").unwrap(), i as i64);
            assert_eq!(row.text("txt").unwrap(), format!("caption {i}"));
            assert_eq!(&row.picture("mask").unwrap().read().unwrap()[1..4], b"PNG");
        }
    }
}
