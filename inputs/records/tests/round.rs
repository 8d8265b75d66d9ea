//! What is written is read again, value for value, in every form.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use zoo_records::{Options, Place, Replace, Row, Sharding, Shards, Spot, Table, Value, Writer};

const FORMS: [&str; 4] = ["json", "jsonl", "parquet", "tar"];

fn row(number: usize, fields: Vec<(String, Value)>) -> Row {
    let place = Place { path: Arc::from(Path::new("memory")), spot: Spot::Row(number as u64) };
    Row::new(place, Path::new(""), fields)
}

fn write(path: &Path, rows: &[Vec<(String, Value)>]) {
    let mut writer = Writer::create(path, Replace::Never).unwrap();
    for (number, fields) in rows.iter().enumerate() {
        writer.write(&row(number, fields.clone())).unwrap();
    }
    writer.finish().unwrap();
}

/// Objects have no order of their names in JSON.
fn sorted(value: &Value) -> Value {
    match value {
        Value::List(list) => Value::List(list.iter().map(sorted).collect()),
        Value::Map(fields) => {
            let mut fields: Vec<_> = fields.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Map(fields)
        }
        // NaN is not equal to itself.
        Value::Float(f) if f.is_nan() => Value::from("NaN"),
        other => other.clone(),
    }
}

#[track_caller]
fn check(rows: &[Vec<(String, Value)>]) {
    let folder = tempfile::tempdir().unwrap();
    for form in FORMS {
        let path = folder.path().join(format!("rows.{form}"));
        write(&path, rows);
        let read: Vec<Row> =
            Table::open(&[&path], Options::default()).unwrap().rows().collect::<Result<_, _>>().unwrap();
        let index = Table::open(&[&path], Options::default()).unwrap().index().unwrap();
        assert_eq!((read.len(), index.len()), (rows.len(), rows.len()), "{form}");
        for (number, (got, expected)) in read.iter().zip(rows).enumerate() {
            let value = |fields: &[(String, Value)]| sorted(&Value::Map(fields.to_vec()));
            assert_eq!(value(got.fields()), value(expected), "{form}, row {number}");
            let got = index.get(number).unwrap();
            assert_eq!(value(got.fields()), value(expected), "{form}, row {number} by place");
        }
        // The same rows are the same bytes.
        let again = folder.path().join(format!("again.{form}"));
        write(&again, rows);
        assert_eq!(std::fs::read(path).unwrap(), std::fs::read(again).unwrap(), "{form}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2 * FORMS.len(), "{left:?}");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|i| Value::Int(i.into())),
        any::<u64>().prop_map(|i| Value::Int(i.into())),
        any::<f64>().prop_map(Value::Float),
        "[a-z<>\"\\\\\n\t\u{e9}\u{1f600}]{0,6}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::btree_map("[abc]", inner, 0..3)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
        ]
    })
}

fn rows() -> impl Strategy<Value = Vec<Vec<(String, Value)>>> {
    // Few names, so that rows agree in some columns and differ in others.
    let row = proptest::collection::btree_map("id|image|conversations|source|é.x", value(), 0..4);
    proptest::collection::vec(row.prop_map(|map| map.into_iter().collect()), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_value_comes_back(rows in rows()) {
        // Rows without a column are nothing in Parquet, and refused there.
        prop_assume!(rows.is_empty() || rows.iter().any(|row| !row.is_empty()));
        check(&rows);
    }
}

#[test]
fn records_of_conversations_come_back() {
    let text = |t: &str| Value::from(t);
    let turn = |from: &str, value: &str| {
        Value::Map(vec![("from".into(), text(from)), ("value".into(), text(value))])
    };
    let talk = Value::List(vec![turn("human", "<image>\nq"), turn("gpt", "a")]);
    let rows: Vec<Vec<(String, Value)>> = vec![
        vec![
            ("id".into(), Value::Int(1)),
            ("image".into(), text("a.jpg")),
            ("conversations".into(), talk.clone()),
        ],
        vec![
            ("id".into(), text("two")),
            ("image".into(), Value::Null),
            ("conversations".into(), talk.clone()),
        ],
        vec![("id".into(), Value::Int(3)), ("conversations".into(), talk), ("source".into(), text("s"))],
    ];
    check(&rows);
    // Parquet keeps turns as columns, for other readers.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &rows);
    let columns = Some(vec!["conversations".to_owned()]);
    let table = Table::open(&[&path], Options { columns, ..Options::default() }).unwrap();
    assert_eq!(table.rows().next().unwrap().unwrap().fields().len(), 1);
}

#[test]
fn what_is_there_stays_and_what_is_not_finished_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for form in FORMS {
        let path = folder.path().join(format!("a.{form}"));
        let mut writer = Writer::create(&path, Replace::Never).unwrap();
        writer.write(&row(0, vec![("a".into(), Value::Int(1))])).unwrap();
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{form}");
        std::fs::write(&path, "old").unwrap();
        let message = Writer::create(&path, Replace::Never).err().unwrap().to_string();
        assert!(message.contains("there is a file of this name already"), "{message}");
        Writer::create(&path, Replace::Always).unwrap().finish().unwrap();
        assert_ne!(std::fs::read(&path).unwrap(), b"old");
        std::fs::remove_file(path).unwrap();
    }
    let message = Writer::create(&folder.path().join("a.csv"), Replace::Never).err().unwrap().to_string();
    assert!(message.contains("rows are written as .json"), "{message}");
}

/// Shards that were cut off, or are shared by several processes, are those of one run.
#[test]
fn shards_go_on_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Row> = (0..10).map(|i| row(i, vec![("i".into(), Value::Int(i as i128))])).collect();
    let write = |path: &Path, sharding: Sharding, end: usize| {
        let mut shards = Shards::create(path, sharding, "a job").unwrap();
        let mut missing = shards.missing();
        for (number, row) in rows[..end].iter().enumerate() {
            match missing(number as u64) {
                true => shards.write(row).unwrap(),
                false => shards.count().unwrap(),
            }
        }
        if end == rows.len() {
            shards.finish().unwrap();
        }
    };
    for form in FORMS {
        let path = |name: &str| folder.path().join(format!("{name}.{form}"));
        write(&path("whole"), Sharding::whole(4), 10);
        for end in [3, 5, 10] {
            write(&path("cut"), Sharding::whole(4), end);
        }
        for part in [1, 0] {
            write(&path("shared"), Sharding { rows: 4, part, of: 2 }, 10);
        }
        for other in ["cut", "shared"] {
            for shard in 0..3 {
                let read = |path: &Path| std::fs::read(Shards::name(path, shard)).unwrap();
                assert_eq!(read(&path("whole")), read(&path(other)), "{form}, shard {shard} of {other}");
            }
            assert!(!Shards::name(&path(other), 3).exists());
        }
    }
}

#[test]
fn shards_of_another_job_are_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let create = |rows: u64, job: &str| Shards::create(&path, Sharding::whole(rows), job).map(drop);
    create(4, "a job").unwrap();
    create(4, "a job").unwrap();
    std::fs::write(Shards::name(&path, 0), "{}\n").unwrap();
    let told = |result: zoo_records::Result<()>| result.unwrap_err().to_string();
    assert!(
        told(create(5, "a job"))
            .contains("a.job: the shards that are there have 4 rows each; go on with --shard 4")
    );
    assert!(told(create(4, "another")).contains("a.job: the shards that are there are of another job"));
    std::fs::remove_file(path.with_extension("job")).unwrap();
    assert!(told(create(4, "a job")).contains("nothing says of which job"));
}
