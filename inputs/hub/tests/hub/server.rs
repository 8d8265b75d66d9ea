//! A Hub of our own: the `resolve` protocol on loopback, with a second port as its storage host, and faults on
//! demand.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zoo_hub::{Hub, Settings};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const REPO: &str = "org/name";
pub const TOKEN: &str = "hf_secret";

/// What the storage host does to the next body it is asked for.
#[derive(Clone, Copy)]
pub enum Trouble {
    /// Announces everything, sends this many bytes, hangs up.
    CutAfter(usize),
    /// Answers with this status.
    Status(u16),
    /// Sends all of the file whatever range was asked for.
    NoRanges,
    /// Sends something else of the same length.
    Corrupt,
    /// Waits between pieces of 1 KiB.
    Slow(Duration),
    /// Names another total in `Content-Range`.
    OtherTotal,
}

/// Who may read, where not everybody.
#[derive(Clone, Copy, PartialEq)]
pub enum Access {
    /// With [`TOKEN`] only; the terms have been accepted with it.
    Gated,
    /// With [`TOKEN`] only; others are told that there is nothing.
    Private,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
    /// Came to the storage host.
    pub storage: bool,
    /// Body bytes sent.
    pub served: usize,
}

struct Blob {
    bytes: Vec<u8>,
    etag: String,
    large: bool,
}

#[derive(Default)]
struct State {
    files: HashMap<String, Blob>,
    troubles: VecDeque<Trouble>,
    head_troubles: VecDeque<u16>,
    log: Vec<Request>,
    moved_from: Option<String>,
    access: Option<Access>,
    list: Option<String>,
}

#[derive(Clone)]
pub struct Server {
    state: Arc<Mutex<State>>,
    hub: u16,
    storage: u16,
}

impl Server {
    pub fn start() -> Self {
        let (hub, storage) = (listener(), listener());
        let port = |l: &TcpListener| l.local_addr().unwrap().port();
        let server = Self { state: Arc::default(), hub: port(&hub), storage: port(&storage) };
        for (listener, is_storage) in [(hub, false), (storage, true)] {
            let server = server.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let server = server.clone();
                    // A client that hangs up is part of the game.
                    std::thread::spawn(move || server.serve(stream, is_storage).ok());
                }
            });
        }
        server
    }

    /// A large file: named by its sha256, served by the storage host.
    pub fn large(self, file: &str, bytes: &[u8]) -> Self {
        let etag = sha256(bytes);
        self.blob(file, Blob { bytes: bytes.to_vec(), etag, large: true })
    }

    /// A small file: named by a git hash, served by the Hub itself.
    pub fn small(self, file: &str, bytes: &[u8]) -> Self {
        let etag = sha256(bytes)[..40].to_owned();
        self.blob(file, Blob { bytes: bytes.to_vec(), etag, large: false })
    }

    fn blob(self, file: &str, blob: Blob) -> Self {
        self.state.lock().unwrap().files.insert(file.to_owned(), blob);
        self
    }

    /// The next bodies, in this order, are in trouble.
    pub fn trouble(self, troubles: impl IntoIterator<Item = Trouble>) -> Self {
        self.state.lock().unwrap().troubles.extend(troubles);
        self
    }

    /// The next `HEAD`s answer with these statuses.
    pub fn head_status(self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.state.lock().unwrap().head_troubles.extend(statuses);
        self
    }

    /// What is said when the files are asked for, in place of the truth.
    pub fn lists(self, list: &str) -> Self {
        self.state.lock().unwrap().list = Some(list.to_owned());
        self
    }

    pub fn access(self, access: Access) -> Self {
        self.state.lock().unwrap().access = Some(access);
        self
    }

    /// The repository was called this before: requests are redirected within the Hub.
    pub fn moved_from(self, repo: &str) -> Self {
        self.state.lock().unwrap().moved_from = Some(repo.to_owned());
        self
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.hub)
    }

    pub fn settings(&self, cache: &std::path::Path) -> Settings {
        let mut settings = Settings::new(cache);
        settings.endpoint = self.endpoint();
        settings.backoff = Duration::from_millis(2);
        settings
    }

    pub fn client(&self, cache: &std::path::Path) -> Hub {
        Hub::new(self.settings(cache))
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Request> {
        self.state.lock().unwrap().log.clone()
    }

    /// Body bytes sent so far.
    pub fn served(&self) -> usize {
        self.log().iter().map(|r| r.served).sum()
    }

    /// Ranges of the requests to the storage host.
    pub fn ranges(&self) -> Vec<Option<String>> {
        self.log().into_iter().filter(|r| r.storage).map(|r| r.range).collect()
    }

    fn serve(&self, stream: TcpStream, storage: bool) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(()) };
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let (range, authorization) = (headers.remove("range"), headers.remove("authorization"));
        let index = {
            let mut state = self.state.lock().unwrap();
            state.log.push(Request { method, path, range, authorization, storage, served: 0 });
            state.log.len() - 1
        };
        let request = self.state.lock().unwrap().log[index].clone();
        if storage { self.body(stream, index, &request) } else { self.resolve(stream, index, &request) }
    }

    fn resolve(&self, mut stream: TcpStream, index: usize, request: &Request) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let head = request.method == "HEAD";
        if let Some(status) = head.then(|| state.head_troubles.pop_front()).flatten() {
            return respond(&mut stream, status, &[]);
        }
        let (repo, rest) = match request.path[1..].split_once("/resolve/") {
            Some((repo, rest)) => (repo.strip_prefix("datasets/").unwrap_or(repo), rest),
            // A list of files: only data sets are asked for it.
            None => {
                match request.path.strip_prefix("/api/datasets/").and_then(|p| p.split_once("/revision/")) {
                    Some((repo, revision)) => (repo, revision),
                    None => return respond(&mut stream, 404, &[]),
                }
            }
        };
        if state.moved_from.as_deref() == Some(repo) {
            return respond(&mut stream, 307, &[("Location", format!("/{REPO}/resolve/{rest}"))]);
        }
        let allowed = request.authorization.as_deref() == Some(&format!("Bearer {TOKEN}"));
        let code = |code: &str| [("X-Error-Code", code.to_owned())];
        match state.access {
            Some(Access::Gated) if !allowed => return respond(&mut stream, 401, &code("GatedRepo")),
            Some(Access::Private) if !allowed => return respond(&mut stream, 401, &code("RepoNotFound")),
            _ if repo != REPO => return respond(&mut stream, 404, &code("RepoNotFound")),
            _ => {}
        }
        let (revision, file) = rest.split_once('/').unwrap_or((rest, ""));
        if !["main", "refs%2Fpr%2F1", COMMIT].contains(&revision) {
            return respond(&mut stream, 404, &code("RevisionNotFound"));
        }
        if request.path.starts_with("/api/") {
            let mut files: Vec<&String> = state.files.keys().collect();
            files.sort();
            let files: Vec<String> =
                files.iter().map(|file| format!("{{\"rfilename\": \"{file}\"}}")).collect();
            let list = state.list.clone();
            let list = list.unwrap_or_else(|| {
                format!("{{\"id\": \"{REPO}\", \"sha\": \"{COMMIT}\", \"siblings\": [{}]}}", files.join(", "))
            });
            respond(&mut stream, 200, &[("Content-Length", list.len().to_string())])?;
            return stream.write_all(list.as_bytes());
        }
        let Some(blob) = state.files.get(file) else {
            return respond(&mut stream, 404, &code("EntryNotFound"));
        };
        let mut headers = vec![("X-Repo-Commit", COMMIT.to_owned()), ("ETag", format!("\"{}\"", blob.etag))];
        if blob.large {
            headers.push(("X-Linked-Etag", format!("\"{}\"", blob.etag)));
            headers.push(("X-Linked-Size", blob.bytes.len().to_string()));
            headers.push(("Location", format!("http://127.0.0.1:{}/{file}?signed=yes", self.storage)));
            return respond(&mut stream, 302, &headers);
        }
        if head {
            headers.push(("Content-Length", blob.bytes.len().to_string()));
            return respond(&mut stream, 200, &headers);
        }
        drop(state);
        self.body(stream, index, &Request { path: format!("/{file}"), ..request.clone() })
    }

    fn body(&self, mut stream: TcpStream, index: usize, request: &Request) -> std::io::Result<()> {
        let (file, bytes, trouble) = {
            let mut state = self.state.lock().unwrap();
            let file = request.path[1..].split('?').next().unwrap_or_default().to_owned();
            let bytes = state.files[&file].bytes.clone();
            (file, bytes, state.troubles.pop_front())
        };
        assert!(!file.is_empty());
        let total = bytes.len();
        let from: usize = request
            .range
            .as_ref()
            .and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
            .filter(|_| !matches!(trouble, Some(Trouble::NoRanges)))
            .unwrap_or(0);
        if let Some(Trouble::Status(status)) = trouble {
            return respond(&mut stream, status, &[]);
        }
        if from > total {
            return respond(&mut stream, 416, &[("Content-Range", format!("bytes */{total}"))]);
        }
        let mut body = bytes[from..].to_vec();
        let mut headers = vec![("Content-Length", body.len().to_string())];
        let status = if from > 0 { 206 } else { 200 };
        if from > 0 {
            let named = if matches!(trouble, Some(Trouble::OtherTotal)) { total + 1 } else { total };
            headers.push(("Content-Range", format!("bytes {from}-{}/{named}", total - 1)));
        }
        respond(&mut stream, status, &headers)?;
        match trouble {
            Some(Trouble::CutAfter(n)) => body.truncate(n),
            Some(Trouble::Corrupt) => body.iter_mut().for_each(|b| *b ^= 1),
            _ => {}
        }
        for piece in body.chunks(1024) {
            if let Some(Trouble::Slow(wait)) = trouble {
                std::thread::sleep(wait);
            }
            // Counted first: who has it all may ask at once how much that was.
            self.state.lock().unwrap().log[index].served += piece.len();
            stream.write_all(piece)?;
            stream.flush()?;
        }
        Ok(())
    }
}

/// A port on which nobody answers but connections would be counted.
pub fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes");
    std::fs::write(&path, bytes).unwrap();
    zoo_hub::sha256_file(&path).unwrap()
}

/// Bytes without a pattern that a shifted range could reproduce.
pub fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_u32;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x.to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

fn respond(stream: &mut TcpStream, status: u16, headers: &[(&str, String)]) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !headers.iter().any(|(name, _)| *name == "Content-Length") {
        text += "Content-Length: 0\r\n";
    }
    stream.write_all(format!("{text}\r\n").as_bytes())
}
