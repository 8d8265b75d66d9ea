//! `zoo eval` as a process that is killed at any moment, several of them at once: what is left is continued to the bytes of
//! runs that nobody disturbed, and the parts together are the whole.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Says, data, endpoint, files, program, row, run, said, same, told};

const ITEMS: usize = 60;
const PARTS: usize = 3;

/// Numbers that look random and are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

fn line(address: &str, out: &str) -> String {
    format!("eval --model {address} --served m --tasks data/mine.toml --data data --out {out} --at-once 4")
}

fn part(folder: &Path, address: &str, out: &str, part: usize) -> Child {
    let line = format!("{} --shard {}/{PARTS}", line(address, out), part + 1);
    program(folder, &line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn killed_again_and_again_the_parts_end_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(&folder.join("data"), &(0..ITEMS).map(row).collect::<Vec<_>>());
    // Replies come in no order: each takes its own time.
    let address = endpoint(|number, _| {
        std::thread::sleep(Duration::from_millis(number as u64 * 13 % 9));
        Says::Text(format!(" {}\n", said(number)))
    });
    run(folder, &line(&address, "whole"), 0);
    let begun = Instant::now();
    for number in 0..PARTS {
        let output = part(folder, &address, "parts", number).wait_with_output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }
    let full = begun.elapsed() / PARTS as u32;
    let expected = files(&folder.join("parts"));
    assert!(expected.iter().all(|(name, _)| !name.to_string_lossy().ends_with(".part")));

    // Parts joined are the whole, byte by byte and score by score.
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mut lines: Vec<String> = (1..=PARTS)
        .flat_map(|part| {
            let text = text(&format!("parts/mine/replies-{part}-of-{PARTS}.jsonl"));
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let number = |line: &String| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap();
    lines.sort_by_key(number);
    assert_eq!(lines.join("\n") + "\n", text("whole/mine/replies.jsonl"));
    let scores = |out: &str| -> Value {
        serde_json::from_str::<Value>(&run(folder, &format!("score {out} --json"), 0)).unwrap()["scores"]
            .take()
    };
    assert_eq!(scores("parts"), scores("whole"));
    assert_eq!(scores("whole")[0]["score"]["value"], 100.0);

    let (mut dice, mut kills, mut round) = (Dice(5), 0, 0);
    while kills < 40 {
        let out = format!("round-{round}");
        let mut open: Vec<usize> = (0..PARTS).collect();
        while !open.is_empty() {
            let mut running: Vec<(usize, Child)> =
                open.iter().map(|number| (*number, part(folder, &address, &out, *number))).collect();
            for (_, child) in &mut running {
                std::thread::sleep(Duration::from_micros(dice.below(full.as_micros() as u64)));
                if child.try_wait().unwrap().is_none() {
                    child.kill().unwrap();
                    kills += 1;
                }
            }
            open.clear();
            for (number, child) in running {
                let output = child.wait_with_output().unwrap();
                assert!(
                    output.status.code().is_none_or(|code| code == 0),
                    "it failed by itself: {}",
                    told(&output)
                );
                if !output.status.success() {
                    open.push(number);
                }
            }
        }
        same(&files(&folder.join(&out)), &expected, &format!("after {kills} kills"));
        std::fs::remove_dir_all(folder.join(&out)).unwrap();
        round += 1;
    }
}

#[test]
fn two_processes_do_not_ask_the_same_part() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(&folder.join("data"), &(0..2).map(row).collect::<Vec<_>>());
    let (asked, arrived) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let asked = std::sync::Mutex::new(asked);
    let address = endpoint(move |number, _| {
        asked.lock().unwrap().send(()).ok();
        wait.lock().unwrap().recv().ok();
        Says::Text(said(number))
    });
    let first = program(folder, &line(&address, "run"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    arrived.recv().unwrap();
    let text = run(folder, &line(&address, "run"), 1);
    assert!(text.contains("another process is asking these questions"), "{text}");
    drop(go);
    let output = first.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(std::fs::read_to_string(folder.join("run/mine/replies.jsonl")).unwrap().lines().count(), 2);
}
