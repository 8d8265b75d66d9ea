//! A store that speaks enough of S3 for one client, in memory, and fails as often as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The bucket of a test.
pub const BUCKET: &str = "bucket";

#[derive(Default)]
struct State {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    calls: AtomicUsize,
}

/// The store; it ends with the process.
pub struct S3 {
    state: Arc<State>,
    port: u16,
}

impl S3 {
    /// Starts; every `failing`-th call is answered by 503, none for 0.
    pub fn start(failing: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&served);
                std::thread::spawn(move || while answer(&state, &stream, failing) {});
            }
        });
        Self { state, port }
    }

    /// What a client finds in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_ACCESS_KEY_ID", "me".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
            ("AWS_REGION", "here-1".into()),
        ]
    }

    pub fn put(&self, key: &str, bytes: Vec<u8>) {
        self.state.objects.lock().unwrap().insert(key.to_owned(), bytes);
    }

    /// Objects below a prefix.
    pub fn below(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let objects = self.state.objects.lock().unwrap();
        let below = objects.iter().filter_map(|(key, bytes)| Some((key.strip_prefix(prefix)?, bytes)));
        below.map(|(key, bytes)| (key.to_owned(), bytes.clone())).collect()
    }

    pub fn calls(&self) -> usize {
        self.state.calls.load(Ordering::Relaxed)
    }
}

fn tag(bytes: &[u8]) -> String {
    let sum = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("\"{sum:016x}\"")
}

/// Answers one request; whether there may be another.
fn answer(state: &State, stream: &TcpStream, failing: usize) -> bool {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return false;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let call = state.calls.fetch_add(1, Ordering::Relaxed) + 1;
    if failing > 0 && call.is_multiple_of(failing) {
        return reply(stream, &method, 503, &[], b"<Error><Code>SlowDown</Code></Error>");
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let key = path.trim_start_matches('/').strip_prefix(BUCKET).unwrap().trim_start_matches('/').to_owned();
    let mut objects = state.objects.lock().unwrap();
    let there = objects.get(&key).cloned();
    match method.as_str() {
        "GET" if key.is_empty() => {
            let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or("");
            let prefix = prefix.replace("%2F", "/");
            let mut out = "<ListBucketResult><IsTruncated>false</IsTruncated>".to_owned();
            for (key, bytes) in objects.iter().filter(|(key, _)| key.starts_with(&prefix)) {
                let (size, tag) = (bytes.len(), tag(bytes).replace('"', "&quot;"));
                out += &format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                     <ETag>{tag}</ETag><Size>{size}</Size></Contents>"
                );
            }
            drop(objects);
            reply(stream, &method, 200, &[], (out + "</ListBucketResult>").as_bytes())
        }
        "GET" | "HEAD" => {
            drop(objects);
            match there {
                None => reply(stream, &method, 404, &[], b"<Error><Code>NoSuchKey</Code></Error>"),
                Some(bytes) => {
                    let modified = ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT".to_owned());
                    reply(stream, &method, 200, &[("etag", tag(&bytes)), modified], &bytes)
                }
            }
        }
        "PUT" => {
            let exists = headers.contains_key("if-none-match") && there.is_some();
            let changed = headers
                .get("if-match")
                .is_some_and(|wanted| there.as_deref().map(tag).as_ref() != Some(wanted));
            if exists || changed {
                drop(objects);
                return reply(stream, &method, 412, &[], b"<Error><Code>PreconditionFailed</Code></Error>");
            }
            let tag = tag(&body);
            objects.insert(key, body);
            drop(objects);
            reply(stream, &method, 200, &[("etag", tag)], b"")
        }
        "DELETE" => {
            objects.remove(&key);
            drop(objects);
            reply(stream, &method, 204, &[], b"")
        }
        "POST" if query.starts_with("delete") => {
            let text = String::from_utf8_lossy(&body);
            for part in text.split("<Key>").skip(1) {
                objects.remove(part.split("</Key>").next().unwrap());
            }
            drop(objects);
            reply(stream, &method, 200, &[], b"<DeleteResult></DeleteResult>")
        }
        other => panic!("the store does not know {other} {target}"),
    }
}

fn reply(mut stream: &TcpStream, method: &str, status: u16, headers: &[(&str, String)], body: &[u8]) -> bool {
    let mut out = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        out += &format!("{name}: {value}\r\n");
    }
    out += "\r\n";
    let mut bytes = out.into_bytes();
    if method != "HEAD" {
        bytes.extend_from_slice(body);
    }
    stream.write_all(&bytes).is_ok()
}
