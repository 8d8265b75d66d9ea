//! Makes a large set and runs a job over it, to see what time and memory it takes:
//!
//! ```text
//! cargo build --release -p zoo-data --example scale
//! target/release/examples/scale make big/data.jsonl 10000000
//! target/release/examples/scale curate big/data.jsonl big/out.jsonl
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for those who measure")]

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use zoo_data::{
    Alike, CheckPlan, CurateRecipe, DataSource, HashKind, Job, Options, Part, Pictures, PicturesGo, Piece,
    Replace, Same, Table, Target, check, convert, curate, dedup, inspect, leak, mix, prompt, split,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, path, rest] = arguments.as_slice() else {
        panic!(
            "make FILE RECORDS, or inspect, check, repair, curate, mix, split, convert, prompt, exact, picture, text or leak \
             with FILE and OUT"
        )
    };
    let begun = Instant::now();
    if what == "make" {
        make(Path::new(path), rest.parse().expect("a number of records"));
        return;
    }
    let mut rows = 0;
    let mut watch = |done: u64| rows = done;
    run(what, Path::new(path), rest, &mut Job::new(&mut watch, &AtomicBool::new(false)));
    let (seconds, peak) = (begun.elapsed().as_secs_f64(), peak());
    println!(
        "{what}: {rows} rows read in {seconds:.0} s, {:.0} rows/s; at most {peak} MiB resident",
        rows as f64 / seconds
    );
}

/// The most that was resident so far, in MiB; 0 where the system does not say.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Pictures that records share.
const PICTURES: u64 = 500;

/// Records of 40 sources, each with some words of its own; one in ten says what an earlier one says, and one in ten has a
/// picture.
fn make(path: &Path, records: u64) {
    let images = path.with_file_name("images");
    std::fs::create_dir_all(&images).expect("a folder");
    for number in 0..PICTURES {
        let colour = |x: u32, y: u32| {
            let at =
                (u64::from(x) * 31 + u64::from(y) * 17 + number * 7919).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            image::Rgb([(at >> 56) as u8, (at >> 48) as u8, (at >> 40) as u8])
        };
        image::RgbImage::from_fn(32, 24, colour).save(images.join(format!("{number}.png"))).expect("a file");
    }
    let mut out = BufWriter::new(std::fs::File::create(path).expect("a file"));
    for id in 0..records {
        let said = if id % 10 == 9 { id / 2 } else { id };
        let word = |salt: u64| (said + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ salt) >> 40;
        let (image, tag) = match said % 10 {
            0 => (format!("\"image\":\"images/{}.png\",", said / 10 % PICTURES), "<image>\\n"),
            _ => (String::new(), ""),
        };
        writeln!(
            out,
            "{{\"id\":{id},\"source\":\"s{}\",{image}\"conversations\":[{{\"from\":\"human\",\"value\":\"{tag}What of w{} and w{} \
             near w{}?\"}},{{\"from\":\"gpt\",\"value\":\"It is w{} with w{}.\"}}]}}",
            id % 40,
            word(1),
            word(2),
            word(3),
            word(6),
            word(7)
        )
        .expect("room on the disk");
    }
    out.flush().expect("room on the disk");
}

fn run(what: &str, path: &Path, out: &str, job: &mut Job<'_>) {
    let folder = path.parent().unwrap();
    let target = Target { path: out.into(), replace: Replace::Always, shard: None };
    let source = [DataSource { records: path.into(), images: folder.into() }];
    let table = || Table::open(&[path], Options::default()).unwrap();
    let pictures = |path: &Path| Pictures {
        name: "data".into(),
        paths: vec![path.into()],
        column: "image".into(),
        images: None,
    };
    let same = Same { hash: HashKind::Difference, distance: 0 };
    match what {
        "inspect" => drop(inspect(&source, None, job).unwrap()),
        "check" => drop(check(&source, &CheckPlan::default(), job).unwrap()),
        "repair" => {
            let plan = CheckPlan { decode: false, repair: Some(target) };
            drop(check(&source, &plan, job).unwrap());
        }
        "convert" => drop(convert(&table(), &PicturesGo::Stay, &target, job).unwrap()),
        "prompt" => drop(prompt::prompt(&table(), Some("DocVQA"), &target, job).unwrap()),
        "exact" => drop(dedup(&pictures(path), Alike::Exact, &target, job).unwrap()),
        "picture" => drop(dedup(&pictures(path), Alike::Picture(same), &target, job).unwrap()),
        "text" => drop(dedup(&pictures(path), Alike::Text(0.8), &target, job).unwrap()),
        "leak" => {
            let benchmark = pictures(&folder.join("images"));
            drop(leak(&pictures(path), &[benchmark], same, None, Some(&target), job).unwrap());
        }
        "mix" => {
            let parts = [Part { records: path.into(), times: 1.0 }];
            drop(mix(&parts, 0, &target, job).unwrap());
        }
        "split" => {
            let piece = |name: &str, share| Piece {
                target: Target { path: format!("{out}.{name}.jsonl").into(), ..target.clone() },
                share,
            };
            drop(split(&table(), &[piece("train", 9.0), piece("test", 1.0)], "id", 0, job).unwrap());
        }
        "curate" => {
            let records = std::path::absolute(path).unwrap();
            let mut text = format!("records = [{records:?}]\ncap = 100000\n");
            for source in 0..40 {
                text += &format!("[[source]]\nname = \"s{source}\"\ncategory = \"c{}\"\n", source % 7);
            }
            let recipe = CurateRecipe::parse("scale", Path::new(""), &text).unwrap();
            drop(curate(&recipe, &target, job).unwrap());
        }
        other => panic!("there is no job `{other}`"),
    }
}
