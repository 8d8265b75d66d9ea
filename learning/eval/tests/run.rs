//! Asking: nothing is lost when a run is cut off, parts make the whole, and bad pictures are told of and left out.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use zoo_eval::dataset::{Dataset, Item};
use zoo_eval::run::{Answerer, Asking, Choices, Outcome, Reply, Run, Seen, Shard, Watch, stored};
use zoo_eval::task::Task;
use zoo_eval::{Error, Result};

const TASK: &str = r#"
name = "mine"
title = "Mine"
prompt = "{{ question }}"
groups = ["kind"]
[source]
files = ["*.jsonl"]
[image]
column = "image"
[answer]
column = "answer"
form = "text"
[rules]
paper = "equal"
"#;

const ASKING: Asking = Asking { blind: false, choices: Choices::Written, max_new_tokens: None, limit: None };
const ITEMS: u64 = 23;

fn data(folder: &Path) -> Dataset {
    let mut lines = String::new();
    for n in 0..ITEMS {
        std::fs::write(folder.join(format!("{n}.png")), format!("picture {n}")).unwrap();
        let kind = n % 3;
        lines += &format!(
            "{{\"question\": \"What is {n}?\", \"image\": \"{n}.png\", \"answer\": \"{n}\", \"kind\": {kind}}}\n"
        );
    }
    std::fs::write(folder.join("rows.jsonl"), lines).unwrap();
    Dataset::open(&Task::parse("mine.toml", TASK.to_owned()).unwrap(), folder, None).unwrap()
}

/// Says what it was asked; several at once, the later ones sooner. Stops the run after some replies.
struct Echo<'a> {
    threads: usize,
    stop_after: usize,
    answered: AtomicUsize,
    stop: &'a AtomicBool,
}

impl Answerer for Echo<'_> {
    fn prepare(&self, bytes: Vec<u8>) -> Result<Seen, String> {
        if bytes == b"picture 7!" { Err("it is broken".into()) } else { Ok(Seen::File(bytes)) }
    }

    fn answer(&self, item: &Item, picture: Option<Seen>, _: &Asking) -> Result<Reply> {
        let seen = match picture {
            Some(Seen::File(bytes)) => String::from_utf8(bytes).unwrap(),
            _ => "nothing".into(),
        };
        if self.answered.fetch_add(1, Ordering::SeqCst) + 1 >= self.stop_after {
            self.stop.store(true, Ordering::SeqCst);
        }
        let text = format!(" {}: {seen}\n", item.prompt);
        Ok(Reply { text, finish: "stop".into(), tokens: Some(3), choices: Vec::new() })
    }

    fn at_once(&self) -> usize {
        self.threads
    }
}

struct Nobody;

impl Watch for Nobody {
    fn begins(&self, _: usize, _: usize) {}
    fn reply(&self, _: &Item, _: Result<&Reply, &Error>) {}
}

fn go(dataset: &Dataset, folder: &Path, shard: Shard, threads: usize, stop_after: usize) -> Outcome {
    let stop = AtomicBool::new(false);
    let echo = Echo { threads, stop_after, answered: AtomicUsize::new(0), stop: &stop };
    let run = Run { dataset, folder, shard, asking: &ASKING, stop: &stop };
    run.go(&echo, &Nobody).unwrap()
}

fn bytes(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("replies.jsonl")).unwrap()
}

#[test]
fn a_run_that_is_cut_off_ends_in_the_same_bytes() {
    let (rows, whole, parts) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dataset = data(rows.path());
    let outcome = go(&dataset, whole.path(), Shard::WHOLE, 1, usize::MAX);
    assert_eq!((outcome.done, outcome.total, outcome.stopped), (ITEMS as usize, ITEMS as usize, false));
    for threads in [3, 1, 4] {
        let outcome = go(&dataset, parts.path(), Shard::WHOLE, threads, 4);
        assert!(outcome.stopped && outcome.done < ITEMS as usize, "{outcome:?}");
        // As after a power cut in the middle of a line.
        let mut cut = bytes(parts.path());
        cut.truncate(cut.len() - 20);
        std::fs::write(parts.path().join("replies.jsonl"), cut).unwrap();
    }
    assert!(!go(&dataset, parts.path(), Shard::WHOLE, 3, usize::MAX).stopped);
    assert_eq!(
        String::from_utf8(bytes(parts.path())).unwrap(),
        String::from_utf8(bytes(whole.path())).unwrap()
    );
    // The second time there is nothing to do.
    let again = go(&dataset, parts.path(), Shard::WHOLE, 1, usize::MAX);
    assert_eq!(again.done, ITEMS as usize);
}

#[test]
fn parts_make_the_whole() {
    let (rows, whole, parts) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dataset = data(rows.path());
    go(&dataset, whole.path(), Shard::WHOLE, 1, usize::MAX);
    for part in ["2/3", "1/3", "3/3"] {
        go(&dataset, parts.path(), Shard::parse(part).unwrap(), 2, usize::MAX);
    }
    let joined = stored(parts.path()).unwrap();
    assert_eq!(joined, stored(whole.path()).unwrap());
    assert_eq!(joined.len(), ITEMS as usize);
    assert_eq!(joined[3].reply, "What is 3?: picture 3", "replies are stored without outer white space");
    // Parts of two wholes are no whole.
    go(&dataset, parts.path(), Shard::WHOLE, 1, usize::MAX);
    assert!(stored(parts.path()).unwrap_err().to_string().contains("move those of one of them away"));
    for wrong in ["0/3", "4/3", "1", "a/b", "1/0"] {
        assert!(Shard::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn bad_pictures_are_told_of_and_asked_again() {
    let (rows, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dataset = data(rows.path());
    std::fs::write(rows.path().join("7.png"), "picture 7!").unwrap();
    std::fs::remove_file(rows.path().join("9.png")).unwrap();
    let outcome = go(&dataset, out.path(), Shard::WHOLE, 1, usize::MAX);
    assert_eq!(outcome.done, ITEMS as usize - 2);
    let told: Vec<String> = outcome.failures.iter().map(|f| f.error.to_string()).collect();
    assert!(told[0].contains("rows.jsonl:8") && told[0].contains("it is broken"), "{told:?}");
    assert!(told[1].contains("9.png"), "{told:?}");
    assert!(outcome.failures[1].place.contains("rows.jsonl:10"));
    std::fs::write(rows.path().join("7.png"), "picture 7").unwrap();
    std::fs::write(rows.path().join("9.png"), "picture 9").unwrap();
    assert!(go(&dataset, out.path(), Shard::WHOLE, 1, usize::MAX).failures.is_empty());
    let indices: Vec<u64> = stored(out.path()).unwrap().iter().map(|record| record.index).collect();
    assert!(indices.into_iter().eq(0..ITEMS), "in order again");
}

#[test]
fn pictures_come_in_order_and_only_those_that_are_wanted() {
    let rows = tempfile::tempdir().unwrap();
    let dataset = data(rows.path());
    let mut seen = Vec::new();
    let each = |item: &Item, picture: Result<Option<Vec<u8>>>| {
        seen.push((item.index, String::from_utf8(picture.unwrap().unwrap()).unwrap()));
        ControlFlow::Continue(())
    };
    dataset.pictures(|item| item.index % 10 == 4, each).unwrap();
    assert_eq!(seen, [(4, "picture 4".to_owned()), (14, "picture 14".to_owned())]);
}
