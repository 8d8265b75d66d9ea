//! What is left of a run that is killed at any moment, and of several that share the work, is what one run makes.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]
#![allow(dead_code, reason = "each test program uses its part of the support")]

mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use support::{extract, files, pictures, request, spawn};

#[test]
fn child() {
    support::child();
}

/// Numbers that look random and are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

#[test]
fn killed_again_and_again_it_ends_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (source, whole) = (folder.path().join("pictures"), folder.path().join("whole"));
    pictures(&source, 30, &[5, 12]);
    let source = source.to_str().unwrap();
    extract(folder.path(), &request(source, whole.to_str().unwrap())).unwrap();
    let expected = files(&whole);
    assert_eq!(expected.len(), 8 * 2 + 1, "an output and a receipt for each of 8 shards, and the setting");

    let begun = Instant::now();
    let out = folder.path().join("timed");
    assert!(spawn(folder.path(), source, out.to_str().unwrap(), 0, &[]).wait().unwrap().success());
    let full = begun.elapsed();

    let (mut dice, mut kills) = (Dice(9), 0);
    let mut round = 0;
    while kills < 120 {
        let out = folder.path().join(format!("round-{round}"));
        loop {
            let mut child = spawn(folder.path(), source, out.to_str().unwrap(), 0, &[]);
            std::thread::sleep(Duration::from_micros(dice.below(full.as_micros() as u64)));
            let ended = child.try_wait().unwrap();
            if ended.is_none() {
                child.kill().unwrap();
                kills += 1;
            }
            if child.wait().unwrap().success() {
                break;
            }
            assert!(ended.is_none(), "it failed by itself: {}", told(&mut child));
        }
        same(&files(&out), &expected, &format!("after {kills} kills"));
        std::fs::remove_dir_all(&out).unwrap();
        round += 1;
    }
}

/// The same files with the same bytes; what differs is named, not shown.
#[track_caller]
fn same(found: &[(PathBuf, Vec<u8>)], expected: &[(PathBuf, Vec<u8>)], when: &str) {
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{when}");
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        assert!(found == expected, "{when}: {} differs", name.display());
    }
}

fn told(child: &mut std::process::Child) -> String {
    std::io::read_to_string(child.stderr.take().unwrap()).unwrap()
}

#[test]
fn workers_that_share_are_replaced_when_they_die() {
    let folder = tempfile::tempdir().unwrap();
    let (source, whole, out) =
        (folder.path().join("pictures"), folder.path().join("whole"), folder.path().join("out"));
    pictures(&source, 60, &[7]);
    let (source, out) = (source.to_str().unwrap(), out.to_str().unwrap());
    extract(folder.path(), &request(source, whole.to_str().unwrap())).unwrap();
    let mut dice = Dice(4);
    for round in 0..5 {
        let mut workers: Vec<_> = (0..3).map(|_| spawn(folder.path(), source, out, 300, &[])).collect();
        // One dies with its claim; the others take over what it had.
        std::thread::sleep(Duration::from_millis(20 + dice.below(120)));
        let victim = round % 3;
        workers[victim].kill().unwrap();
        for (number, mut worker) in workers.into_iter().enumerate() {
            let status = worker.wait().unwrap();
            assert!(status.success() || number == victim, "{}", told(&mut worker));
        }
        same(&files(out.as_ref()), &files(&whole), &format!("round {round}"));
        std::fs::remove_dir_all(out).unwrap();
    }
}
