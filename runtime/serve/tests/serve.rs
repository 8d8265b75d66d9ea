//! A server as its clients see it: the answers and vectors of the program, one message for what cannot be meant, and an end
//! that leaves nobody behind.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zoo_host::{EncoderRequest, EyesRequest, Folders, ModelRequest, ModelSession, Options, Zoo};
use zoo_language::generate::Control;
use zoo_language::template::Conversation;
use zoo_pipeline::look::{mean, to_unit};
use zoo_serve::answering::{Answerer, Question};
use zoo_serve::interest::interest;
use zoo_serve::looking::{Gathering, Looker};
use zoo_serve::measures::Measures;
use zoo_serve::server::{Ended, serve};
use zoo_serve::{App, Limits};

const ENCODER: &str = "trilobite-clip";
const KEY: &str = "open sesame";

fn zoo(folder: &Path) -> Zoo {
    let at = |name: &str| folder.join(name);
    let folders = Folders { config: at("config"), data: at("data"), cache: at("cache") };
    let options = Options { offline: true, ..Options::default() };
    Zoo::open_in(options, folders).unwrap().with_linked(&[
        &zoo_clip::PLUGIN,
        &zoo_convnext::PLUGIN,
        &zoo_llama::PLUGIN,
        &zoo_sva::PLUGIN,
    ])
}

fn eyes(zoo: &Zoo) -> zoo_host::Eyes {
    let request = EncoderRequest { prefix: true, ..EncoderRequest::new(ENCODER) };
    zoo.eyes(&EyesRequest::Encoder(request)).unwrap()
}

fn model(zoo: &Zoo) -> ModelSession {
    zoo.model(&ModelRequest::new(zoo_models::TRILOBITE.id), &()).unwrap()
}

fn file(number: usize) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../inputs/models/trilobite/holdout");
    std::fs::read(folder.join(format!("{number:02}.png"))).unwrap()
}

fn data(number: usize) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(file(number)))
}

fn decoded(number: usize) -> zoo_preprocess::Decoded {
    zoo_preprocess::decode(&file(number), "a picture", &zoo_preprocess::DecodeOptions::default()).unwrap()
}

/// A server on a port of its own.
struct Server {
    address: String,
    stop: &'static AtomicBool,
    running: Option<JoinHandle<Ended>>,
    app: Arc<App>,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(key: Option<&str>, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let zoo = zoo(folder.path());
        let measures = Measures::default();
        let gathering = Gathering { most: 4, patience: Duration::from_millis(20), places: 64 };
        let looker = Looker::start(eyes(&zoo), gathering, measures.clone()).unwrap();
        let answerer = Answerer::start(model(&zoo), 8, measures.clone()).unwrap();
        let app = Arc::new(App::new(Some(answerer), vec![looker], limits, measures, key.map(str::to_owned)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop: &'static AtomicBool = Box::leak(Box::default());
        let served = Arc::clone(&app);
        let running =
            std::thread::spawn(move || serve(served, listener, stop, Duration::from_secs(60)).unwrap());
        Self { address, stop, running: Some(running), app, _folder: folder }
    }

    fn send(&self, method: &str, path: &str, body: &[u8], key: Option<&str>) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.address));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = agent.run(request.body(body.to_vec()).unwrap()).unwrap();
        let bytes = response.body_mut().read_to_vec().unwrap();
        (response.status().as_u16(), String::from_utf8_lossy(&bytes).into_owned())
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let (status, text) = self.send("POST", path, body.to_string().as_bytes(), None);
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.send("GET", path, &[], None)
    }

    fn end(mut self) -> Ended {
        self.stop.store(true, Ordering::Relaxed);
        self.running.take().unwrap().join().unwrap()
    }
}

fn ask(picture: usize, question: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": data(picture) } }, { "type": "text", "text": question },
    ] }] })
}

/// What the program answers.
fn answer(session: &ModelSession, picture: usize, question: &str) -> String {
    let mut conversation = Conversation::new();
    conversation.ask_about_image(question).unwrap();
    let sight = session.look(&[decoded(picture)], &()).unwrap();
    let control = Control { cancel: &AtomicBool::new(false), piece: &mut |_| {} };
    session.answer(&conversation, &sight, &session.defaults(), control).unwrap().text.trim().to_owned()
}

const QUESTIONS: [(usize, &str); 4] = [
    (0, "Describe the picture."),
    (1, "How many squares are in the picture?"),
    (2, "Describe the picture."),
    (0, "Is there a white square in the picture?"),
];

#[test]
fn answers_are_those_of_the_program_whole_and_in_pieces_alone_and_in_a_crowd() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = zoo(folder.path());
    let session = model(&zoo);
    let server = Server::start(None, Limits::default());
    std::thread::scope(|scope| {
        for (picture, question) in QUESTIONS {
            let (server, expected) = (&server, answer(&session, picture, question));
            scope.spawn(move || {
                let said = server.post("/v1/chat/completions", &ask(picture, question));
                assert_eq!(said["choices"][0]["message"]["content"], expected.as_str());
                assert_eq!(said["choices"][0]["finish_reason"], "stop");
                let usage = &said["usage"];
                assert!(usage["prompt_tokens"].as_u64() > usage["completion_tokens"].as_u64());

                let mut body = ask(picture, question);
                (body["stream"], body["stream_options"]) = (true.into(), json!({ "include_usage": true }));
                let bytes = body.to_string();
                let (status, text) = server.send("POST", "/v1/chat/completions", bytes.as_bytes(), None);
                assert_eq!(status, 200, "{text}");
                let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                assert_eq!(events.last(), Some(&"[DONE]"));
                let chunks: Vec<Value> = events[..events.len() - 1]
                    .iter()
                    .map(|event| serde_json::from_str(event).unwrap())
                    .collect();
                let pieces =
                    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
                assert_eq!(pieces.collect::<String>().trim_end(), expected);
                assert_eq!(chunks.last().unwrap()["usage"], *usage);
            });
        }
    });
    let longer = json!({ "messages": [
        { "role": "user", "content": [
            { "type": "text", "text": "Describe the picture." }, { "type": "image_url", "image_url": { "url": data(0) } },
        ] },
        { "role": "assistant", "content": "Shapes." },
        { "role": "user", "content": "How many squares are in the picture?" },
    ], "max_tokens": 1 });
    let said = server.post("/v1/chat/completions", &longer);
    assert_eq!(said["choices"][0]["finish_reason"], "length");
    assert_eq!(said["usage"]["completion_tokens"], 1);
    assert_eq!(server.end(), Ended::Drained);
}

#[test]
fn vectors_are_those_of_the_program_alone_and_in_a_crowd() {
    let folder = tempfile::tempdir().unwrap();
    let zoo = zoo(folder.path());
    let eyes = eyes(&zoo);
    let expected: Vec<Vec<f32>> = (0..6)
        .map(|number| {
            let seen = eyes.look(&[decoded(number)], &()).unwrap();
            let tokens = &seen.members[0].tokens;
            let values: Vec<f32> = tokens.flatten_all().unwrap().to_vec1().unwrap();
            let mut vector = mean(&values, tokens.dim(2).unwrap());
            to_unit(&mut vector);
            vector
        })
        .collect();
    let server = Server::start(None, Limits::default());
    let floats = |value: &Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
    };
    std::thread::scope(|scope| {
        for number in 0..6 {
            let (server, expected) = (&server, &expected);
            scope.spawn(move || {
                let body = json!({ "model": ENCODER, "input": data(number) });
                let one = server.post("/v1/embeddings", &body);
                assert_eq!(floats(&one["data"][0]["embedding"]), expected[number]);
            });
        }
    });
    let all: Vec<Value> = (0..6).map(|number| json!({ "image": STANDARD.encode(file(number)) })).collect();
    let body = json!({ "model": ENCODER, "input": all, "encoding_format": "base64" });
    let several = server.post("/v1/embeddings", &body);
    for (entry, expected) in several["data"].as_array().unwrap().iter().zip(&expected) {
        let bytes = STANDARD.decode(entry["embedding"].as_str().unwrap()).unwrap();
        let found: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(&found, expected);
    }
    assert_eq!(several["data"].as_array().unwrap().len(), 6);

    let maps = server.post("/v1/features", &json!({ "input": data(3), "format": "json" }));
    let seen = eyes.look(&[decoded(3)], &()).unwrap();
    let tokens: Vec<f32> = seen.members[0].tokens.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(floats(&maps["data"][0]["features"]["values"]), tokens);
    let (h, w) = (seen.members[0].grid.h, seen.members[0].grid.w);
    assert_eq!(maps["data"][0]["features"]["grid"], json!([h, w]));
    let (_, metrics) = server.get("/metrics");
    for name in ["te_request_total{path=\"/v1/embeddings\",status=\"200\"} 7", "te_batch_next_size_bucket"] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    assert_eq!(server.end(), Ended::Drained);
}

#[test]
fn what_cannot_be_meant_is_said_with_its_place() {
    let limits = Limits { body: 100_000, pictures: 2, ..Limits::default() };
    let server = Server::start(None, limits);
    let picture = data(0);
    let shown = json!({ "type": "image_url", "image_url": { "url": picture } });
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let cases: Vec<(&str, Value, u16, &str)> = vec![
        ("/v1/chat/completions", json!({}), 400, "missing field `messages`"),
        ("/v1/chat/completions", json!({ "messages": [] }), 400, "nothing to answer"),
        (
            "/v1/chat/completions",
            json!({ "model": "gpt-4", "messages": [] }),
            404,
            "served here; what is: trilobite",
        ),
        ("/v1/chat/completions", json!({ "messages": [], "n": 2 }), 400, "`n` is not known here"),
        ("/v1/chat/completions", json!({ "messages": [], "temperature": -1 }), 400, "temperature is -1"),
        (
            "/v1/chat/completions",
            user(json!([{ "type": "image_url", "image_url": { "url": "https://example.org/a.png" } }])),
            400,
            "messages[0].content[0]: `https` addresses are not fetched",
        ),
        (
            "/v1/chat/completions",
            user(json!([{ "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }])),
            400,
            "messages[0].content[0]",
        ),
        (
            "/v1/chat/completions",
            json!({ "messages": user(json!([shown, shown]))["messages"], "stream": true }),
            400,
            "one image per conversation",
        ),
        ("/v1/embeddings", json!({ "input": "a red car" }), 400, "input: text, for which"),
        (
            "/v1/embeddings",
            json!({ "input": [picture, picture, picture] }),
            400,
            "3 pictures in one request; 2",
        ),
        ("/v1/embeddings", json!({ "input": picture, "model": "clip" }), 404, "what is: trilobite-clip"),
        ("/v1/embeddings", json!({ "input": picture, "dimensions": 3 }), 400, "cannot be cut to 3"),
        ("/v1/features", json!({ "input": picture, "layers": [1] }), 400, "unknown field `layers`"),
        ("/v1/embeddings", json!({ "input": "x".repeat(200_000) }), 413, "larger than 100000 bytes"),
        ("/v1/nothing", json!({}), 404, "there is no `/v1/nothing` here"),
        ("/health", json!({}), 405, "takes another method"),
    ];
    for (path, body, status, part) in cases {
        let (found, text) = server.send("POST", path, body.to_string().as_bytes(), None);
        assert!(found == status && text.contains(part), "{path} {body:.80}: {found} {text}");
        let error: Value = serde_json::from_str(&text).unwrap();
        assert!(error["error"]["type"].is_string(), "{text}");
    }
    let (status, text) = server.send("POST", "/v1/embeddings", b"{\"input\": ", None);
    assert!(status == 400 && text.contains("the body of the request: EOF"), "{text}");
    // None of this has hurt it.
    assert_eq!(server.get("/health").0, 200);
    assert_eq!(server.end(), Ended::Drained);
}

#[test]
fn who_has_no_key_learns_nothing() {
    let server = Server::start(Some(KEY), Limits::default());
    assert_eq!(server.get("/v1/models").0, 401);
    assert_eq!(server.send("GET", "/v1/models", &[], Some("open")).0, 401);
    assert_eq!(server.send("GET", "/info", &[], Some("open sesame2")).0, 401);
    let (status, text) = server.send("GET", "/v1/models", &[], Some(KEY));
    assert!(status == 200 && text.contains(ENCODER) && text.contains("trilobite"), "{text}");
    assert_eq!(server.get("/health").0, 200);
    assert!(server.get("/").1.contains("<title>Zoo</title>"));
    assert_eq!(server.end(), Ended::Drained);
}

#[test]
fn who_left_is_not_answered_and_a_closed_server_says_so() {
    let server = Server::start(None, Limits::default());
    let answerer = server.app.answerer.as_ref().unwrap();
    let question = || {
        let mut conversation = Conversation::new();
        conversation.ask("Describe the picture.").unwrap();
        let (prompt, options) =
            (answerer.session().prompt(&conversation).unwrap(), answerer.session().defaults());
        Question { prompt, pictures: Vec::new(), options }
    };
    let (heard, waiting) = interest();
    drop(waiting);
    let mut said = answerer.ask(question(), heard).unwrap();
    assert_eq!(said.blocking_recv(), None, "nobody waits for it");
    let (heard, _waiting) = interest();
    let mut said = answerer.ask(question(), heard).unwrap();
    assert!(said.blocking_recv().is_some(), "the next one is served");
    server.app.close();
    let (status, text) =
        server.send("POST", "/v1/embeddings", json!({ "input": data(0) }).to_string().as_bytes(), None);
    assert!(status == 503 && text.contains("ending"), "{status} {text}");
    assert_eq!(server.end(), Ended::Drained);
}
