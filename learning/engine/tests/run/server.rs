//! A small server on loopback that answers as it is told, or fails as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What somebody asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub host: String,
    pub head: String,
    pub body: String,
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    Full {
        status: u16,
        headers: String,
        body: Vec<u8>,
    },
    /// The connection ends without a word.
    Close,
    /// The body ends before its end.
    Cut,
    /// Nothing comes for longer than anybody waits.
    Silence,
    /// This is no HTTP.
    Garbage,
}

impl Answer {
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::Full { status: 200, headers: String::new(), body: body.as_ref().to_vec() }
    }

    pub fn status(status: u16, headers: &str) -> Self {
        Self::Full { status, headers: headers.to_owned(), body: b"said the server".to_vec() }
    }
}

pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers with what `answer` says, and 404 where it says nothing.
    pub fn new(answer: impl Fn(&Request) -> Option<Answer> + Send + 'static) -> Self {
        Self::serve(move |request, _| answer(request).unwrap_or(Answer::status(404, "")))
    }

    /// Answers each request with `fault` the first time that it comes.
    pub fn failing(answer: impl Fn(&Request) -> Option<Answer> + Send + 'static, fault: Answer) -> Self {
        Self::serve(move |request, before| match before {
            0 => fault.clone(),
            _ => answer(request).unwrap_or(Answer::status(404, "")),
        })
    }

    /// `answer` is told how often the same was asked before.
    fn serve(answer: impl Fn(&Request, usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (requests, over) =
            (Arc::new(Mutex::new(Vec::<Request>::new())), Arc::new(AtomicBool::new(false)));
        let (seen, ended) = (requests.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let stream = stream.unwrap();
                let Some(request) = read(&stream) else { continue };
                let same = |other: &&Request| other.path == request.path && other.body == request.body;
                let before = seen.lock().unwrap().iter().filter(same).count();
                seen.lock().unwrap().push(request.clone());
                write(stream, &answer(&request, before));
            }
        });
        Self { address, requests, over, thread: Some(thread) }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread.
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let value = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(name))?;
        Some(line[name.len()..].trim().to_owned())
    };
    let length: usize = value("content-length:").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = head.split_whitespace().nth(1)?.to_owned();
    let host = value("host:").unwrap_or_default();
    Some(Request { path, host, body: String::from_utf8_lossy(&body).into_owned(), head })
}

fn write(mut stream: TcpStream, answer: &Answer) {
    let out = match answer {
        Answer::Full { status, headers, body } => {
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
                body.len()
            );
            [head.as_bytes(), body].concat()
        }
        Answer::Cut => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n{\"cut".to_vec(),
        Answer::Garbage => b"no protocol that anybody knows\r\n\r\n".to_vec(),
        Answer::Close => return,
        Answer::Silence => {
            // Until whoever asked gives up.
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    let _ = stream.write_all(&out);
}
