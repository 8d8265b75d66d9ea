//! Questions, an endpoint on the loopback that answers them, and the program as a process.

#![allow(dead_code, reason = "each test program uses its part of the support")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A task as anybody writes one.
pub const TASK: &str = r#"
name = "mine"
title = "Mine"
prompt = "{{ question }}"
groups = ["kind"]
source = { files = ["*.parquet", "*.jsonl"] }
image = { column = "image" }
answer = { column = "answer", form = "text" }
rules = { paper = "equal" }
"#;

/// A row of its data.
pub fn row(number: usize) -> Value {
    json!({ "question": format!("What is {number}?"), "image": format!("{number}.png"), "answer": said(number), "kind": number % 3 })
}

/// What is said about a question.
pub fn said(number: usize) -> String {
    ["yes", "no", "maybe so"][number * 7 % 5 % 3].to_owned()
}

/// Writes the task and `rows` with a picture each.
pub fn data(folder: &Path, rows: &[Value]) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("mine.toml"), TASK).unwrap();
    for number in 0..rows.len() {
        // An endpoint looks at the bytes itself.
        std::fs::write(folder.join(format!("{number}.png")), format!("picture {number}")).unwrap();
    }
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(folder.join("rows.jsonl"), lines).unwrap();
}

/// How an endpoint answers.
pub enum Says {
    /// A chat completion.
    Text(String),
    /// Status, further headers, body.
    Other(u16, &'static str, &'static str),
    /// Not at all.
    Nothing,
}

/// Answers each question by `says`, which is told its number and how often it was asked before. Gives the address.
pub fn endpoint(says: impl Fn(usize, usize) -> Says + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let says = Arc::new(says);
    let asked: Arc<Mutex<HashMap<usize, usize>>> = Arc::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (says, asked) = (says.clone(), asked.clone());
            // A client that is killed is part of the game.
            std::thread::spawn(move || serve(stream, &*says, &asked).ok());
        }
    });
    address
}

fn serve(
    mut stream: TcpStream,
    says: &dyn Fn(usize, usize) -> Says,
    asked: &Mutex<HashMap<usize, usize>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body)?;
    let content = &body["messages"][0]["content"];
    let text = content.as_array().and_then(|parts| parts.last()?["text"].as_str()).unwrap_or_default();
    let number: usize = text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
    let before = {
        let mut asked = asked.lock().unwrap();
        let count = asked.entry(number).or_default();
        *count += 1;
        *count - 1
    };
    let (status, headers, body) = match says(number, before) {
        Says::Text(text) => {
            let answer = json!({ "choices": [{ "message": { "content": text }, "finish_reason": "stop" }], "usage": { "completion_tokens": 1 } });
            (200, "", answer.to_string())
        }
        Says::Other(status, headers, body) => (status, headers, body.to_owned()),
        Says::Nothing => {
            // Until whoever asks has given up.
            let _ = reader.read(&mut [0]);
            return Ok(());
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())
}

/// The program with `line` as its arguments, which is not started yet; it finds no settings, plugins or caches.
pub fn program(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zoo-learn"));
    command.args(line.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    for variable in ["ZOO_CONFIG", "ZOO_DATA", "ZOO_CACHE", "HF_HOME"] {
        command.env(variable, folder.join(variable));
    }
    for variable in ["ZOO_PLUGIN_PATH", "HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env_remove(variable);
    }
    command
}

/// Runs it to its end, which must have this code, and gives what it wrote to both streams.
#[track_caller]
pub fn run(folder: &Path, line: &str, code: i32) -> String {
    let output = program(folder, line).output().unwrap();
    let text = told(&output);
    assert_eq!(output.status.code(), Some(code), "`zoo {line}`\n{text}");
    text
}

/// What a process wrote to both streams.
pub fn told(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Every file below a folder, with its bytes, sorted by path.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    fn walk(folder: &Path, root: &Path, out: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, out);
            } else {
                out.push((path.strip_prefix(root).unwrap().to_path_buf(), std::fs::read(&path).unwrap()));
            }
        }
    }
    let mut out = Vec::new();
    walk(folder, folder, &mut out);
    out.sort();
    out
}

/// The same files with the same bytes; what differs is named, not shown.
#[track_caller]
pub fn same(found: &[(PathBuf, Vec<u8>)], expected: &[(PathBuf, Vec<u8>)], when: &str) {
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{when}");
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        assert!(found == expected, "{when}: {} differs", name.display());
    }
}
