//! Jobs that are killed at any moment and begun again end in the bytes of one run, and leave nothing else behind.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

/// Numbers that look random and are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

const PICTURES: usize = 40;
const ROWS: usize = 4000;

/// Records of two sources, some with pictures, some that need a repair, some twice.
fn world(folder: &Path) {
    fs::create_dir_all(folder.join("images")).unwrap();
    for number in 0..PICTURES {
        let shade =
            |x: u32, y: u32| image::Rgb([(x * (number as u32 + 2)) as u8, (y * 3) as u8, number as u8]);
        image::RgbImage::from_fn(24, 20, shade).save(folder.join(format!("images/{number}.png"))).unwrap();
    }
    let record = |id: usize| {
        let said = id - id % 9 / 8;
        let question = if id.is_multiple_of(5) {
            format!("What of {said}?")
        } else {
            format!("<image>\nWhat of {said}?")
        };
        let image = (!id.is_multiple_of(3)).then(|| format!("{}.png", said % PICTURES));
        let question = if image.is_some() { question } else { question.replace("<image>\n", "") };
        let source = ["ChartQA", "ShareGPT"][id % 2];
        let mut record = json!({"id": id, "source": source, "conversations": [
            {"from": "human", "value": question}, {"from": "gpt", "value": "It is so, and it was so."}]});
        if let Some(image) = image {
            record["image"] = image.into();
        }
        format!("{record}\n")
    };
    fs::write(folder.join("raw.jsonl"), (0..ROWS).map(record).collect::<String>()).unwrap();
    let recipe = "cap = 1500\nrecords = [\"raw.jsonl\"]\n[[source]]\nname = \"ChartQA\"\ncategory = \"ocr\"\n\
                  [[source]]\nname = \"ShareGPT\"\ncategory = \"language\"\n";
    fs::write(folder.join("mixture.toml"), recipe).unwrap();
}

fn spawn(folder: &Path, line: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoo-learn"));
    command.arg("data").args(line.split_whitespace()).current_dir(folder);
    for variable in ["ZOO_CONFIG", "ZOO_DATA", "ZOO_CACHE", "HF_HOME"] {
        command.env(variable, folder.join("none"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(mut child: Child) -> Result<(), String> {
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    if child.wait().unwrap().success() { Ok(()) } else { Err(said) }
}

/// Every file of a folder with its bytes, hidden ones among them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let walk = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    let files = walk.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| (entry.path().strip_prefix(folder).unwrap().to_owned(), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn killed_at_any_moment_they_end_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    world(folder.path());
    let mut dice = Dice(11);
    for line in [
        "check raw.jsonl --images images --repair OUT/sound.jsonl",
        "curate mixture.toml --out OUT/mixture.parquet --shard 700",
        "mix raw.jsonl raw.jsonl=0.5 --out OUT/mixed.tar --shard 900",
        "convert raw.jsonl --images images --inside image --out OUT/inside.parquet --shard 1000",
        "prompt raw.jsonl --out OUT/asked.jsonl",
        "dedup raw.jsonl --images images --by picture --out OUT/single.json",
        "dedup raw.jsonl --by text --out OUT/single.jsonl --shard 800",
        "leak raw.jsonl --images images --against b=images/ --keep OUT/hashes --out OUT/clean.jsonl",
        "split raw.jsonl --into OUT/a.jsonl=3 --into OUT/b.parquet=1",
    ] {
        let run = |out: &str| line.replace("OUT", out);
        let begun = Instant::now();
        finish(spawn(folder.path(), &run("whole"))).unwrap();
        let full = begun.elapsed().as_micros() as u64;
        let (mut kills, whole) = (0, files(&folder.path().join("whole")));
        assert!(
            !whole.is_empty() && whole.keys().all(|name| !name.to_string_lossy().ends_with(".part")),
            "{whole:?}"
        );
        // What has its name is complete, so the last round of each out is one that was left alone.
        while kills < 5 {
            let mut child = spawn(folder.path(), &run("killed"));
            std::thread::sleep(Duration::from_micros(dice.below(full)));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
                child.wait().unwrap();
                continue;
            }
            // It was faster than the dice.
            let _ = finish(child);
            fs::remove_dir_all(folder.path().join("killed")).unwrap();
        }
        let again = finish(spawn(folder.path(), &run("killed")));
        // Of two files the first may have had its name when the process was killed: what is complete is replaced by nobody
        // who was not told to.
        if let Err(said) = again {
            assert!(said.contains("--overwrite"), "{line}: {said}");
            finish(spawn(folder.path(), &format!("{} --overwrite", run("killed")))).unwrap();
        }
        let killed = files(&folder.path().join("killed"));
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&killed), names(&whole), "{line}");
        assert!(killed == whole, "{line}: other bytes");
        for out in ["whole", "killed"] {
            fs::remove_dir_all(folder.path().join(out)).unwrap();
        }
    }
}
