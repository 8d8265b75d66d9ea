//! `zoo pull --dataset`, from a Hub on the loopback to data that `zoo eval` reads.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[allow(dead_code, reason = "made for another suite, which uses all of it")]
#[path = "../../../inputs/hub/tests/hub/server.rs"]
mod server;
mod support;

use std::path::Path;

use server::{Access, REPO, Server, Trouble, noise};
use support::{program, told};

const TASK: &str = r#"
name = "mine"
title = "Mine"
prompt = "{{ question }}"
source = { hub = "org/name", files = ["data/test-*", "old/*"] }
image = { path = "pictures/{{ n }}.png" }
answer = { column = "answer", form = "text" }
rules = { paper = "equal" }
"#;

const ROWS: &str = "{\"question\": \"?\", \"answer\": \"yes\", \"n\": 1}\n{\"question\": \"!\", \"answer\": \"no\", \"n\": 2}\n";

fn hub() -> Server {
    Server::start()
        .small("README.md", b"about")
        .small("data/train-0.jsonl", b"{}")
        .large("data/test-0.jsonl", ROWS.as_bytes())
        .large("pictures/1.png", &noise(5000))
        .large("pictures/2.png", &noise(6000))
}

/// Runs `eval` and the words of `line` where this Hub is asked.
#[track_caller]
fn run(folder: &Path, server: &Server, line: &str, code: i32) -> String {
    std::fs::write(folder.join("mine.toml"), TASK).unwrap();
    let output =
        program(folder, &format!("eval {line}")).env("HF_ENDPOINT", server.endpoint()).output().unwrap();
    let text = told(&output);
    assert_eq!(output.status.code(), Some(code), "`zoo eval {line}`\n{text}");
    text
}

#[test]
fn what_a_task_reads_is_put_where_it_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = hub();
    let text = run(folder, &server, "pull mine.toml", 0);
    assert!(text.contains("data/mine: 3 files of org/name"), "{text}");
    let text = run(folder, &server, "check mine.toml --data data", 0);
    assert!(text.contains("2 questions from 1 file"), "{text}");
    for absent in ["data/mine/README.md", "data/mine/data/train-0.jsonl", "data/.mine.part"] {
        assert!(!folder.join(absent).exists(), "{absent}");
    }
    assert_eq!(std::fs::read(folder.join("data/mine/pictures/2.png")).unwrap(), noise(6000));
    // A second time nobody is asked; when the cache was cleared, for the same files again.
    let before = server.log().len();
    assert!(run(folder, &server, "pull mine.toml --offline", 0).contains("there already"));
    assert_eq!(server.log().len(), before);
    std::fs::remove_dir_all(folder.join("HF_HOME/hub")).unwrap();
    run(folder, &server, "pull mine.toml", 0);
    assert_eq!(std::fs::read(folder.join("data/mine/pictures/1.png")).unwrap(), noise(5000));
    assert!(server.log().iter().all(|request| !request.path.contains("README")));
}

#[test]
fn what_was_interrupted_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The first file comes, the second in two parts; the third is another than the Hub says.
    let fine = Trouble::Slow(std::time::Duration::ZERO);
    let server = hub().trouble([fine, Trouble::CutAfter(2000), fine, Trouble::Corrupt]);
    let text = run(folder, &server, "pull mine.toml", 1);
    assert!(text.contains("pictures/2.png"), "{text}");
    assert!(!folder.join("data/mine").exists(), "what is not complete has not its name");
    let before = server.served();
    run(folder, &server, "pull mine.toml", 0);
    assert_eq!(server.served() - before, 6000, "only what is missing");
    run(folder, &server, "check mine.toml --data data", 0);
}

#[track_caller]
fn refused(server: &Server, line: &str, prepare: impl Fn(&Path), said: &str) {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let text = run(folder.path(), server, line, 1);
    assert!(text.contains(said), "{text}\nlacks {said:?}");
}

#[test]
fn what_cannot_be_pulled_says_why() {
    let nothing = |_: &Path| {};
    refused(&hub(), "pull shapes", nothing, "names no data set on the Hub");
    refused(&hub(), "pull mmpv", nothing, "did you mean `mmvp`?");
    refused(&hub(), "pull mmvp", nothing, "no repository `datasets/MMVP/MMVP`");
    refused(&hub(), "pull mine.toml --offline", nothing, "no socket is opened");
    refused(&hub().access(Access::Gated), "pull mine.toml", nothing, "accept its terms");
    let bare = Server::start().small("README.md", b"about");
    refused(&bare, "pull mine.toml", nothing, "`data/test-*` or `old/*`");
    assert!(REPO == "org/name");
    let own = |folder: &Path| {
        std::fs::create_dir_all(folder.join("data/mine")).unwrap();
        std::fs::write(folder.join("data/mine/rows.jsonl"), "mine").unwrap();
    };
    refused(&hub(), "pull mine.toml", own, "was not made by");
    let absent = "--tasks mine.toml --out run";
    refused(&hub(), absent, nothing, "`zoo pull --dataset mine`");
}
