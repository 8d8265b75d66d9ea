//! The program as a process. Nothing here needs a plugin.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs `zoo-learn` with `line` as its arguments, in a folder where there are no plugins, settings or caches.
fn run(line: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoo-learn"));
    command.args(line.split_whitespace()).current_dir(folder.path()).stdin(Stdio::null());
    for variable in ["ZOO_CONFIG", "ZOO_DATA", "ZOO_CACHE", "HF_HOME"] {
        command.env(variable, folder.path().join(variable));
    }
    command.env_remove("ZOO_PLUGIN_PATH").env("COLUMNS", "100").output().unwrap()
}

#[track_caller]
fn check(line: &str, code: i32, said: &str) {
    let output = run(line);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(output.status.code(), Some(code), "`zoo {line}`\n{text}");
    assert!(text.contains(said), "`zoo {line}` does not say {said:?}\n{text}");
}

#[test]
fn it_speaks_as_zoo_does() {
    check("trian r.toml", 2, "train");
    check("train", 2, "RECIPE.toml");
    check("train none.toml", 1, "none.toml");
    check("pretrain", 2, "RECIPE.toml");
    check("pretrain none.toml", 1, "none.toml");
    check("data check none.json --json", 1, "\"error\"");
    check("data curate cambrian-t350 --plan", 0, "5836500 in all");
    check("data curate cambrian-t350 --out out.jsonl", 2, "--plan does the arithmetic");
    check("data convert none.parquet --out out.csv", 1, "none.parquet");
    check("data leak none.jsonl --against nothing", 2, "a name and a path are expected");
    check("data split none.jsonl --into a.jsonl", 2, "a file and its share are expected");
    check("data engine none.txt --out e --model-url http://x/v1 --model m --offline", 1, "none.txt");
    check("eval --tasks cvbench --out r", 1, "cv-bench");
    check("eval --tasks cv-bench --data . --out r", 1, "nyu-visionx/CV-Bench");
    check("eval --tasks cv-bench", 2, "--out");
    check("eval --tasks mmpv --out r", 1, "did you mean `mmvp`? A task of your own");
    check("eval --tasks mmvp --out r --limit 0", 2, "--limit");
    check("eval", 2, "Usage: zoo eval --tasks");
    check("eval tasks", 0, "MMBench (English)");
    check("eval show mmvp", 0, "written = \"parentheses\"");
    check("eval schema", 0, "\"title\": \"Task\"");
    check("score none", 1, "no run of `zoo eval`");
    check("compare none", 1, "no run of `zoo eval`");
    check("cv-bench build --pictures . --out d", 2, "--coco");
    check("analyse --scores none.csv --out figures", 1, "none.csv");
    check("analyse --out figures", 0, "correlations.svg");
    check("study", 2, "STUDY.toml");
    check("study none.toml", 1, "none.toml");
    check("--version", 0, "zoo ");
    check("data synth set", 1, "--train, --val or --test");
    check("data synth set --test 2 --size 48 --write tasks,coco", 0, "2 scenes");
    check("data synth set --test 2 --resume", 1, "leave out --resume");
    check("data synth set --only rooms", 2, "room");
    check("data synth none --check", 1, "no set of the world");
}

/// The help of every command, as files: what users read is reviewed like code. `ZOO_UPDATE=1` writes them anew.
#[test]
fn help_is_as_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let mut stale = Vec::new();
    for command in [
        "train",
        "pretrain",
        "study",
        "data",
        "data inspect",
        "data check",
        "data curate",
        "data mix",
        "data split",
        "data convert",
        "data prompt",
        "data dedup",
        "data leak",
        "data engine",
        "data synth",
        "eval",
        "eval pull",
        "score",
        "compare",
        "cv-bench",
        "cv-bench build",
        "analyse",
    ] {
        let help = String::from_utf8(run(&format!("{command} --help")).stdout).unwrap();
        let path = folder.join(format!("{}.txt", command.replace(' ', "-")));
        if std::env::var_os("ZOO_UPDATE").is_some() {
            std::fs::write(&path, help).unwrap();
        } else if std::fs::read_to_string(&path).ok().as_deref() != Some(&help) {
            stale.push(path);
        }
    }
    assert!(stale.is_empty(), "run this test with ZOO_UPDATE=1 and review: {stale:?}");
}
