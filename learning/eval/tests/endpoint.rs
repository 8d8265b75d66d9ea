//! Endpoints: what they are sent, and every way in which they fail. The server is here, on the loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zoo_eval::run::{Endpoint, Key, Patience};
use zoo_hub::Settings;

/// How the server answers one request.
#[derive(Clone)]
enum Says {
    Status(u16, &'static str, &'static str),
    Hangs,
    HangsUp,
}

const GOOD: &str = r#"{"choices": [{"message": {"content": "B"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 1}}"#;
const HTML: &str = "<html><body>\n<h1>Welcome to the proxy</h1></body></html>";

/// A server that answers in turn, and keeps the heads and bodies of what it is asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

fn server(says: Vec<Says>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for say in says {
            let Ok((mut stream, _)) = listener.accept() else { return };
            kept.lock().unwrap().push(request(&mut stream));
            match say {
                Says::Status(status, headers, body) => {
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
                    );
                    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
                }
                Says::Hangs => open.push(stream),
                Says::HangsUp => drop(stream),
            }
        }
        // Held until whoever asks has given up.
        while !open.is_empty() && open.iter().all(|stream| stream.peek(&mut [0]).is_ok_and(|n| n > 0)) {}
    });
    Server { url, asked }
}

fn request(stream: &mut TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        head += &line.to_lowercase();
        line.clear();
    }
    let length =
        head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn patience() -> Patience {
    Patience {
        answer: Duration::from_secs(2),
        between: Duration::from_millis(1),
        longest: Duration::from_secs(2),
        tries: 3,
    }
}

fn ask(url: &str, settings: &Settings) -> Result<String, String> {
    let endpoint = Endpoint::new(url, "m", Key(Some("secret".into())), patience(), 1, settings).unwrap();
    endpoint
        .ask(&json!([{ "role": "user", "content": "?" }]), 5)
        .map(|reply| reply.text)
        .map_err(|e| e.to_string())
}

#[track_caller]
fn check(says: Vec<Says>, expected: Result<&str, &[&str]>) {
    let tries = says.len();
    let server = server(says);
    let found = ask(&server.url, &Settings::new("unused"));
    match (&found, expected) {
        (Ok(text), Ok(expected)) => assert_eq!(text, expected),
        (Err(error), Err(parts)) => {
            for part in parts {
                assert!(error.contains(part), "{error} lacks {part}");
            }
            assert!(!error.contains("secret"), "{error}");
        }
        _ => panic!("{found:?}, expected {expected:?}"),
    }
    assert_eq!(server.asked.lock().unwrap().len(), tries, "tries");
}

fn good() -> Says {
    Says::Status(200, "", GOOD)
}

#[test]
fn an_answer_is_read() {
    check(vec![good()], Ok("B"));
    check(
        vec![Says::Status(200, "", r#"{"choices":[{"message":{"content":[{"type":"text","text":"B"}]}}]}"#)],
        Ok("B"),
    );
    check(vec![Says::Status(200, "", r#"{"choices":[{"message":{"content":null}}]}"#)], Ok(""));
}

#[test]
fn what_may_pass_is_tried_again() {
    check(vec![Says::HangsUp, good()], Ok("B"));
    check(vec![Says::Hangs, good()], Ok("B"));
    check(vec![Says::Status(503, "", "busy"), Says::Status(429, "", ""), good()], Ok("B"));
    check(vec![Says::Status(200, "", HTML), good()], Ok("B"));
}

#[test]
fn what_does_not_pass_is_told_at_once() {
    check(
        vec![Says::Status(401, "", r#"{"error": {"message": "bad key"}}"#)],
        Err(&["401", "bad key", "--key-env"]),
    );
    check(vec![Says::Status(404, "", "not here")], Err(&["404", "not here", "/v1"]));
    check(vec![Says::Status(400, "", r#"{"error": "no images"}"#)], Err(&["400", "no images"]));
}

#[test]
fn after_several_tries_the_last_word_is_told() {
    check(vec![Says::Status(200, "", HTML); 3], Err(&["no JSON", "Welcome to the proxy", "3 tries"]));
    check(
        vec![Says::Status(429, "", r#"{"error": {"message": "slow down"}}"#); 3],
        Err(&["429", "slow down"]),
    );
    check(vec![Says::Status(200, "", "{}"); 3], Err(&["no choices"]));
    check(vec![Says::HangsUp; 3], Err(&["chat/completions", "3 tries"]));
}

#[test]
fn the_server_says_how_long_to_wait() {
    let server = server(vec![Says::Status(429, "retry-after: 1\r\n", ""), good()]);
    let begun = Instant::now();
    assert_eq!(ask(&server.url, &Settings::new("unused")).as_deref(), Ok("B"));
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn offline_asks_nobody() {
    let server = server(vec![good()]);
    let settings = Settings { offline: true, ..Settings::new("unused") };
    let error = ask(&server.url, &settings).unwrap_err();
    assert!(error.contains("--offline"), "{error}");
    assert!(server.asked.lock().unwrap().is_empty());
}

#[test]
fn what_is_sent() {
    let server = server(vec![good()]);
    ask(&server.url, &Settings::new("unused")).unwrap();
    let (head, body) = server.asked.lock().unwrap()[0].clone();
    assert!(head.starts_with("post /v1/chat/completions"), "{head}");
    assert!(head.contains("authorization: bearer secret"), "{head}");
    assert_eq!(
        (&body["model"], &body["max_tokens"], &body["temperature"]),
        (&json!("m"), &json!(5), &json!(0))
    );
    assert!(Endpoint::new("localhost", "m", Key(None), patience(), 1, &Settings::new("unused")).is_err());
}
