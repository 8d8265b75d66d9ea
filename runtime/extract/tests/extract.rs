//! From pictures, archives and stores to tables.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]
#![allow(dead_code, reason = "each test program uses its part of the support")]

#[path = "support/s3.rs"]
mod s3;
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float32Type;
use arrow_array::{Array as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use support::{ENCODER, extract, files, picture, pictures, png, request, spawn, zoo};
use zoo_extract::{Element, Error, Existing, Format, Keep, Share};
use zoo_host::EncoderRequest;
use zoo_preprocess::{Decoded, Format as Image};

#[test]
fn child() {
    support::child();
}

/// All rows of a Parquet file.
fn table(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn text(table: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let column = table.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|value| value.map(str::to_owned)).collect()
}

/// The numbers of a row of a column of vectors in f32.
fn vector(table: &RecordBatch, column: &str, row: usize) -> Option<Vec<f32>> {
    let column = table.column_by_name(column).unwrap().as_fixed_size_list();
    column.is_valid(row).then(|| column.value(row).as_primitive::<Float32Type>().values().to_vec())
}

/// The map `[N, C]` that the encoder itself gives of a picture, as a list of rows.
fn map(folder: &Path, number: u32) -> Vec<Vec<f32>> {
    let zoo = zoo(folder);
    let encoder = zoo.encoder(&EncoderRequest::new(ENCODER)).unwrap();
    let image = Decoded::new(picture(number), Image::Png);
    let seen = encoder.encode(&encoder.prepare(&[image]).unwrap()).unwrap();
    seen.tokens.squeeze(0).unwrap().to_vec2().unwrap()
}

fn mean(map: &[Vec<f32>]) -> Vec<f32> {
    let sum = |column: usize| map.iter().map(|row| f64::from(row[column])).sum::<f64>();
    (0..map[0].len()).map(|column| (sum(column) / map.len() as f64) as f32).collect()
}

#[test]
fn a_row_for_each_picture_with_numbers_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("pictures"), folder.path().join("out"));
    pictures(&source, 10, &[5]);
    let mut request = request(source.to_str().unwrap(), out.to_str().unwrap());
    request.element = Element::F32;
    let done = extract(folder.path(), &request).unwrap();
    assert_eq!((done.shards, done.made, done.rows, done.failures), (3, 3, 10, 1));
    assert!(done.busy > 0.0 && done.busy <= 1.0, "{}", done.busy);
    for (shard, numbers) in [(0, 0..4), (1, 4..8), (2, 8..10)] {
        let table = table(&out.join(format!("{shard:05}-pictures.parquet")));
        assert_eq!(table.num_rows(), numbers.len());
        for (row, number) in numbers.enumerate() {
            assert_eq!(text(&table, "key")[row].as_deref(), Some(&*format!("{number:03}.png")));
            let error = text(&table, "error")[row].clone();
            if number == 5 {
                assert!(error.unwrap().contains("005.png"));
                assert_eq!(vector(&table, "vector", row), None);
                continue;
            }
            assert_eq!(
                (error, vector(&table, "vector", row)),
                (None, Some(mean(&map(folder.path(), number))))
            );
        }
    }
    // What is done is done.
    let before = files(&out);
    let again = extract(folder.path(), &request).unwrap();
    assert_eq!((again.made, again.before, again.rows), (0, 3, 0));
    assert_eq!(files(&out), before);
    // An output that is gone is made again.
    std::fs::remove_file(out.join("00001-pictures.parquet")).unwrap();
    assert_eq!(extract(folder.path(), &request).unwrap().made, 1);
    assert_eq!(files(&out), before);
}

#[test]
fn nothing_is_added_to_what_was_made_in_another_way() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("pictures"), folder.path().join("out"));
    pictures(&source, 5, &[]);
    let mut request = request(source.to_str().unwrap(), out.to_str().unwrap());
    extract(folder.path(), &request).unwrap();
    let before = files(&out);
    let refused = |request: &_| extract(folder.path(), request).unwrap_err();
    let other = zoo_extract::Request { keep: Keep::Cls, ..request.clone() };
    let error = refused(&other);
    assert!(matches!(error, Error::Other { .. }), "{error}");
    assert!(error.to_string().contains("kept") && error.to_string().contains("--overwrite"), "{error}");
    std::fs::write(source.join("002.png"), png(77)).unwrap();
    let error = refused(&request);
    assert!(
        matches!(error, Error::Changed { .. }) && error.to_string().contains("00000-pictures"),
        "{error}"
    );
    assert_eq!(files(&out), before, "nothing was touched");
    request.existing = Existing::Replace;
    assert_eq!(extract(folder.path(), &request).unwrap().made, 2);
    assert_ne!(files(&out), before);
    for wrong in ["no-such-folder", "ftp://x/y", "s3//oops"] {
        request.sources = vec![wrong.into()];
        let error = refused(&request);
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

#[test]
fn archives_are_shards_and_their_columns_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("shards"), folder.path().join("out"));
    std::fs::create_dir(&source).unwrap();
    let mut tar = tar::Builder::new(std::fs::File::create(source.join("a.tar")).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    for number in 0..5 {
        add(&format!("{number:04}.png"), &if number == 3 { b"junk".to_vec() } else { png(number) });
        add(&format!("{number:04}.txt"), format!("picture {number}").as_bytes());
    }
    tar.into_inner().unwrap();
    let lines =
        (10..13).map(|n| format!("{{\"image\": \"../{n}.png\", \"txt\": \"x\"}}\n")).collect::<String>();
    std::fs::write(source.join("b.jsonl"), lines.replace("../", "")).unwrap();
    for number in [10, 12] {
        std::fs::write(source.join(format!("{number}.png")), png(number)).unwrap();
    }
    let mut request = request(source.join("a.tar").to_str().unwrap(), out.to_str().unwrap());
    request.sources.push(source.join("b.jsonl").to_str().unwrap().into());
    request.element = Element::F32;
    request.columns.kept = vec!["txt".into()];
    let done = extract(folder.path(), &request).unwrap();
    assert_eq!((done.made, done.rows, done.failures, done.lost.len()), (2, 8, 2, 0));
    let table_of = |name: &str| table(&out.join(name));
    let first = table_of("00000-a.parquet");
    assert_eq!(text(&first, "key")[4].as_deref(), Some("0004"));
    assert_eq!(text(&first, "txt")[4].as_deref(), Some("picture 4"));
    assert_eq!(vector(&first, "vector", 4), Some(mean(&map(folder.path(), 4))));
    assert_eq!(vector(&first, "vector", 3), None);
    let second = table_of("00001-b.parquet");
    assert!(text(&second, "error")[1].as_ref().unwrap().contains("11.png"));
    assert_eq!(vector(&second, "vector", 2), Some(mean(&map(folder.path(), 12))));
    // A shard that cannot be read is told, and the others go on.
    std::fs::write(source.join("c.tar"), b"no archive at all").unwrap();
    request.sources.push(source.join("c.tar").to_str().unwrap().into());
    let done = extract(folder.path(), &request).unwrap();
    assert_eq!((done.before, done.made, done.lost.len()), (2, 0, 1));
    assert!(done.lost[0].1.to_string().contains("c.tar"), "{:?}", done.lost);
}

#[test]
fn every_form_holds_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("pictures");
    pictures(&source, 4, &[1]);
    let made = |format, keep, name: &str| {
        let out = folder.path().join(name);
        let mut request = request(source.to_str().unwrap(), out.to_str().unwrap());
        (request.format, request.keep, request.element) = (format, keep, Element::F32);
        extract(folder.path(), &request).unwrap();
        out
    };
    let expected: Vec<Option<Vec<f32>>> =
        (0..4).map(|n| (n != 1).then(|| map(folder.path(), n).concat())).collect();
    let maps = table(&made(Format::Parquet, Keep::Maps, "maps").join("00000-pictures.parquet"));
    let column = maps.column_by_name("features").unwrap().as_list::<i32>();
    let row = |row: usize| {
        let tokens = column.value(row);
        tokens.as_fixed_size_list().values().as_primitive::<Float32Type>().values().to_vec()
    };
    let found: Vec<_> = (0..4).map(|n| column.is_valid(n).then(|| row(n))).collect();
    assert_eq!(found, expected);

    let npy = made(Format::Npy, Keep::Maps, "npy");
    let bytes = std::fs::read(npy.join("features/features_00000-pictures.npy")).unwrap();
    let zero = vec![0.0; expected[0].as_ref().unwrap().len()];
    let all: Vec<f32> = expected.iter().flat_map(|row| row.clone().unwrap_or_else(|| zero.clone())).collect();
    let raw: Vec<u8> = all.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert!(bytes.starts_with(b"\x93NUMPY") && bytes.ends_with(&raw) && bytes.len() == 128 + raw.len());
    let beside = table(&npy.join("metadata/metadata_00000-pictures.parquet"));
    assert!(beside.column_by_name("features").is_none() && text(&beside, "error")[1].is_some());

    let tensors = made(Format::Safetensors, Keep::Maps, "tensors").join("00000-pictures.safetensors");
    let bytes = std::fs::read(tensors).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let features = tensors.tensor("features").unwrap();
    assert_eq!((features.shape(), features.data()), (&[4, 4, 8][..], &*raw));

    let cls = table(&made(Format::Parquet, Keep::Cls, "cls").join("00000-pictures.parquet"));
    let zoo = zoo(folder.path());
    let encoder = zoo.encoder(&EncoderRequest { prefix: true, ..EncoderRequest::new(ENCODER) }).unwrap();
    let image = Decoded::new(picture(2), Image::Png);
    let seen = encoder.encode(&encoder.prepare(&[image]).unwrap()).unwrap();
    let prefix: Vec<f32> = seen.prefix.unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(vector(&cls, "vector", 2), Some(prefix));
}

#[test]
fn parts_of_a_job_array_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("pictures");
    pictures(&source, 18, &[]);
    let (whole, out) = (folder.path().join("whole"), folder.path().join("out"));
    extract(folder.path(), &request(source.to_str().unwrap(), whole.to_str().unwrap())).unwrap();
    for part in [2, 0, 1] {
        let mut request = request(source.to_str().unwrap(), out.to_str().unwrap());
        request.share = Share::Part { part, of: 3 };
        let done = extract(folder.path(), &request).unwrap();
        assert_eq!(done.made, if part == 2 { 1 } else { 2 }, "part {part}");
    }
    assert_eq!(files(&out), files(&whole));
}

#[test]
fn a_store_that_fails_now_and_then_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store = s3::S3::start(5);
    for number in 0..10 {
        let bytes = if number == 4 { b"junk".to_vec() } else { png(number) };
        store.put(&format!("in/{number:03}.png"), bytes);
    }
    let environment = store.environment();
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, &**value)).collect();
    let extracted = |out: &str, claim| {
        let mut child =
            spawn(folder.path(), "s3://bucket/in/", &format!("s3://bucket/{out}"), claim, &environment);
        let told = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        assert!(child.wait().unwrap().success(), "{told}");
        store.below(&format!("{out}/")).into_iter().collect::<BTreeMap<_, _>>()
    };
    let made = extracted("out", 0);
    assert_eq!(made.len(), 3 * 2 + 1, "{:?}", made.keys());
    assert!(store.calls() >= 20, "{} calls, of which every fifth failed", store.calls());
    let path = folder.path().join("first.parquet");
    std::fs::write(&path, &made["00001-pictures.parquet"]).unwrap();
    let table = table(&path);
    assert_eq!(text(&table, "key")[0].as_deref(), Some("004.png"));
    assert!(text(&table, "error")[0].is_some() && text(&table, "error")[1].is_none());
    // With claims, and with a claim of somebody who is gone.
    let stale = BTreeMap::from([("owner", "gone"), ("beat", "3")]);
    let stale = serde_json::to_vec(&stale).unwrap();
    store.put(
        "shared/claims/00002-pictures.json",
        String::from_utf8(stale).unwrap().replace("\"3\"", "3").into_bytes(),
    );
    assert_eq!(extracted("shared", 200), made);
}

#[test]
fn a_store_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/pictures/a.png", listener.local_addr().unwrap());
    drop(listener);
    let mut request = request(address.as_str(), folder.path().join("out").to_str().unwrap());
    request.patience = std::time::Duration::from_millis(300);
    let error = extract(folder.path(), &request).unwrap_err();
    assert!(error.to_string().contains(&address), "{error}");
}

/// What cannot work leaves no setting behind that the corrected command would have to agree with.
#[test]
fn slips_are_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out, file) =
        (folder.path().join("pictures"), folder.path().join("out"), folder.path().join("file"));
    pictures(&source, 3, &[]);
    std::fs::write(&file, "").unwrap();
    let (source, wrong) = (source.to_str().unwrap(), file.join("below"));
    let mut columns = request(source, out.to_str().unwrap());
    columns.columns.kept = vec!["caption".into()];
    for (request, expected) in [
        (columns, "--columns caption: loose pictures (00000-pictures) have no columns"),
        (request(source, file.to_str().unwrap()), "outputs go into a folder"),
        (request(source, wrong.to_str().unwrap()), "is a file"),
    ] {
        let message = extract(folder.path(), &request).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        let costs = zoo_extract::bill::bill(
            &zoo(folder.path()),
            vec![zoo_host::EyesRequest::Encoder(EncoderRequest::new(ENCODER))],
            &request,
        );
        assert!(costs.unwrap_err().to_string().contains(expected), "the bill says so, too");
    }
    assert!(!out.exists());
    let done = extract(folder.path(), &request(source, out.to_str().unwrap())).unwrap();
    assert_eq!(done.rows, 3);
    // Nothing is left to be computed: the encoder that shows the shape of a row is no part of a run.
    assert_eq!(extract(folder.path(), &request(source, out.to_str().unwrap())).unwrap().busy, 0.0);
}
