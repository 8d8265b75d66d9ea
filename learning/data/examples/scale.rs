//! Makes a large set and runs a job over it, to see what time and memory it takes:
//!
//! ```text
//! cargo run --release -p zoo-data --example scale -- make big.jsonl 10000000
//! /usr/bin/time -v target/release/examples/scale curate big.jsonl out.jsonl
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for those who measure")]

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use zoo_data::{
    Alike, CheckPlan, CurateRecipe, DataSource, Job, Options, Pictures, PicturesGo, Piece, Replace, Table,
    Target, check, convert, curate, dedup, inspect, split,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, path, rest] = arguments.as_slice() else {
        panic!(
            "make FILE RECORDS, or inspect, check, curate, convert, split, exact or text with FILE and OUT"
        )
    };
    let begun = Instant::now();
    if what == "make" {
        make(Path::new(path), rest.parse().expect("a number of records"));
    } else {
        let mut rows = 0;
        let mut watch = |done: u64| rows = done;
        run(what, Path::new(path), rest, &mut Job::new(&mut watch, &AtomicBool::new(false)));
        let seconds = begun.elapsed().as_secs_f64();
        println!("{what}: {rows} rows read in {seconds:.1} s, {:.0} rows/s", rows as f64 / seconds);
    }
}

/// Records of 40 sources, each with some words of its own; one in ten says what an earlier one says.
fn make(path: &Path, records: u64) {
    let mut out = BufWriter::new(std::fs::File::create(path).expect("a file"));
    for id in 0..records {
        let said = if id % 10 == 9 { id / 2 } else { id };
        let word = |salt: u64| (said + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ salt) >> 40;
        writeln!(
            out,
            "{{\"id\":{id},\"source\":\"s{}\",\"conversations\":[{{\"from\":\"human\",\"value\":\"What of w{} and w{} in w{} by w{} \
             near w{}?\"}},{{\"from\":\"gpt\",\"value\":\"It is w{} with w{}.\"}}]}}",
            id % 40,
            word(1),
            word(2),
            word(3),
            word(4),
            word(5),
            word(6),
            word(7)
        )
        .expect("room on the disk");
    }
    out.flush().expect("room on the disk");
}

fn run(what: &str, path: &Path, out: &str, job: &mut Job<'_>) {
    let target = Target { path: out.into(), replace: Replace::Always, shard: None };
    let source = [DataSource { records: path.into(), images: "".into() }];
    let table = || Table::open(&[path], Options::default()).unwrap();
    let data =
        || Pictures { name: "data".into(), paths: vec![path.into()], column: "image".into(), images: None };
    match what {
        "inspect" => drop(inspect(&source, None, job).unwrap()),
        "check" => drop(check(&source, &CheckPlan::default(), job).unwrap()),
        "convert" => drop(convert(&table(), &PicturesGo::Stay, &target, job).unwrap()),
        "exact" => drop(dedup(&data(), Alike::Exact, &target, job).unwrap()),
        "text" => drop(dedup(&data(), Alike::Text(0.8), &target, job).unwrap()),
        "split" => {
            let piece = |name: &str, share| Piece {
                target: Target { path: format!("{out}.{name}.jsonl").into(), ..target.clone() },
                share,
            };
            drop(split(&table(), &[piece("train", 9.0), piece("test", 1.0)], "id", 0, job).unwrap());
        }
        "curate" => {
            let mut text = format!("records = [{path:?}]\ncap = 100000\n");
            for source in 0..40 {
                text += &format!("[[source]]\nname = \"s{source}\"\ncategory = \"c{}\"\n", source % 7);
            }
            let recipe = CurateRecipe::parse("scale", Path::new(""), &text).unwrap();
            drop(curate(&recipe, &target, job).unwrap());
        }
        other => panic!("there is no job `{other}`"),
    }
}
