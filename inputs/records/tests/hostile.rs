//! Files that are wrong: one message that names the file, and never a panic.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;

use zoo_records::{Options, Replace, Row, Table, Writer};

fn messages(path: &Path) -> (usize, Vec<String>) {
    let table = match Table::open(&[path], Options::default()) {
        Ok(table) => table,
        Err(error) => return (0, vec![error.to_string()]),
    };
    let (mut good, mut bad) = (0, Vec::new());
    for row in table.rows() {
        match row {
            Ok(_) => good += 1,
            Err(error) => bad.push(error.to_string()),
        }
    }
    (good, bad)
}

#[track_caller]
fn check(name: &str, text: &[u8], good: usize, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let (rows, bad) = messages(&path);
    assert_eq!((rows, bad.len()), (good, expected.len()), "{bad:?}");
    for (message, expected) in bad.iter().zip(expected) {
        assert!(message.starts_with(&path.display().to_string()) && message.contains(expected), "{message}");
    }
}

#[test]
fn each_is_told_with_its_place() {
    check(
        "a.jsonl",
        b"{\"a\":1}\nnope\n[1]\n{\"a\":2}\n",
        2,
        &["a.jsonl:2: no JSON at character 2", "a.jsonl:3: a JSON object is expected"],
    );
    check("a.jsonl", b"{\"a\":1}\n{\"a\":", 1, &["a.jsonl:2: no JSON at character 5: EOF"]);
    check("a.json", b"[{\"a\":1},\n{\"a\":", 1, &["the list has no end; is the file complete?"]);
    check("a.csv", b"a,b\n1,2\n1\n3,4\n", 2, &["a.csv:3: 1 values stand under 2 headings"]);
    check("a.csv", b"a,b\n1,\xff\n", 0, &["a.csv:2: column `b` is not UTF-8"]);
    check("a.csv", b"a,a\n1,2\n", 0, &["two columns are called `a`"]);
    check("a.csv", b"", 0, &["the file is empty; a heading is expected"]);
    check("a.parquet", b"PAR1 no PAR1", 0, &["no complete Parquet file"]);
    check("a.parquet", b"", 0, &["no complete Parquet file"]);
    check("a.tar", b"this is no archive", 0, &["no complete tar archive: it ends within a header"]);
    check("a.tar", &[7; 1024], 0, &["no complete tar archive: there is no header at byte 0"]);
    check("a.tar", b"", 0, &[]);
    check("a.jsonl.gz", b"{\"a\":1}\n", 0, &["cannot read the rows: unexpected end of file"]);
    check("a.data", b"{\"a\":1}\n", 0, &["the name does not tell the form"]);
    let message = Table::open(&["not/there.jsonl"], Options::default()).err().unwrap().to_string();
    assert!(message.starts_with("not/there.jsonl: cannot read the rows"), "{message}");
}

#[test]
fn values_of_another_type_name_row_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let outside = format!("{}/x.png", "..");
    let text = serde_json::json!({"text": "t", "list": [1, {}], "null": null, "out": outside, "url": "https://a/b.png",
        "cut": format!("data:image/png;base64,{}", "A*"), "long": "x".repeat(5000)});
    std::fs::write(&path, format!("\n{text}\n")).unwrap();
    let row = Table::open(&[&path], Options::default()).unwrap().rows().next().unwrap().unwrap();
    let check = |error: Option<zoo_records::Error>, expected: &str| {
        let message = error.unwrap().to_string();
        assert_eq!(message, format!("{}:2: {expected}", path.display()));
    };
    check(row.number("text").err(), "column `text`: a number is expected, and this is text");
    check(row.text("null").err(), "column `null`: text is expected, and this is null");
    check(row.texts("list").err(), "column `list`: a list of texts is expected, and this is an object");
    check(row.flag("text").err(), "column `text`: true or false is expected, and this is text");
    check(row.integer("list").err(), "column `list`: a whole number is expected, and this is a list");
    check(row.picture("list").err(), "column `list`: a list is no picture");
    check(
        row.picture("url").err(),
        "column `url`: `https://a/b.png` is an address; nothing is downloaded here",
    );
    check(
        row.text("texts").err(),
        "there is no column `texts` among `text`, `list`, `null`, `out`, `url`, `cut`, `long`; did you mean `text`?",
    );
    let leaves = row.picture("out").err().unwrap().to_string();
    assert!(leaves.contains("column `out`: the path `../x.png` leaves the folder of images"), "{leaves}");
    let cut = row.picture("cut").err().unwrap().to_string();
    assert!(cut.contains("the base64 of a picture is broken"), "{cut}");
    let long = row.picture("long").err().unwrap().to_string();
    assert!(long.contains("5000 characters are neither base64 of a picture nor a path"), "{long}");
    let missing = row.picture("text").unwrap().read().unwrap_err().to_string();
    assert!(missing.contains("cannot read a picture"), "{missing}");
}

/// Cut anywhere, and with any byte changed: rows, or an error, within the memory of the file.
#[test]
fn damaged_files_are_no_harm() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small.json");
    let row = |i: u64| {
        let place = zoo_records::Place { path: small.as_path().into(), spot: zoo_records::Spot::Row(i) };
        Row::new(place, Path::new(""), vec![("a".into(), format!("value {i}").into())])
    };
    let mut writer = Writer::create(&small, Replace::Never).unwrap();
    (0..3).for_each(|i| writer.write(&row(i)).unwrap());
    writer.finish().unwrap();
    let names = ["hub-zstd.parquet", "pandas.parquet", "pax.tar", "gnu.tar", "bench.tsv", "bench.csv.gz"];
    let files = names.map(|name| golden.join(name)).into_iter().chain([small.clone()]);
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        let path = folder.path().join(file.file_name().unwrap());
        let damaged = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            messages(&path);
            if let Ok(table) = Table::open(&[&path], Options::default())
                && let Ok(index) = table.index()
            {
                (0..index.len().min(8)).for_each(|row| drop(index.get(row)));
            }
        };
        for cut in (0..whole.len()).step_by(whole.len() / 20 + 1) {
            damaged(&whole[..cut]);
        }
        // Every part of the file, with a stride that meets headers at any offset.
        for at in (0..whole.len()).step_by(whole.len() / 80 + 1) {
            for value in [0xff, whole[at] ^ 0x10] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                damaged(&bytes);
            }
        }
    }
}
