//! The whole engine against servers that speak the true protocols, and fail in every way.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod kills;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use server::{Answer, Request, Server};
use tempfile::TempDir;
use zoo_engine::{Budget, Engine, Error, Made, Manners, Model, Pages, Plan};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n a picture";

/// A wiki with two articles, and pictures beside it.
fn wiki(request: &Request) -> Option<Answer> {
    let query = request.path.as_str();
    let json = |value: Value| Some(Answer::ok(value.to_string()));
    if query.starts_with("/robots.txt") {
        return Some(Answer::ok("User-agent: *\nDisallow: /secret\n"));
    }
    if query.starts_with("/pictures/") || query.starts_with("/secret/") {
        return Some(Answer::ok(PNG));
    }
    if !query.starts_with("/w/api.php?") {
        return None;
    }
    if query.contains("meta=siteinfo") {
        let general = json!({"server": format!("http://{}", request.host), "articlepath": "/wiki/$1"});
        return json(json!({"query": {"general": general, "rightsinfo": {"text": "CC BY-SA 4.0"}}}));
    }
    if query.contains("list=search") {
        let titles: &[&str] = if query.contains("Bees") { &["Bee", "Honey (food)"] } else { &[] };
        let found: Vec<Value> = titles.iter().map(|title| json!({"title": title})).collect();
        return json(json!({"query": {"search": found}}));
    }
    if query.contains("action=parse") {
        let words = "word ".repeat(60);
        let html = match query.contains("page=Bee") {
            true => format!(
                "<h2>Body</h2><p>{words}</p><figure><img src=\"/pictures/thumb/a/ab/Bee.png/220px-Bee.png\"><figcaption>A bee\
                 </figcaption></figure><figure><img src=\"/secret/x.png\"></figure><h2>Short</h2><p>few</p><figure><img src=a>\
                 </figure>"
            ),
            false => format!(
                "<h2>Taste</h2><p>{words}</p><div class=thumb><img src=\"/pictures/honey.png\"></div>"
            ),
        };
        return json(json!({"parse": {"text": html}}));
    }
    if query.contains("prop=imageinfo") {
        let about = json!({"LicenseShortName": {"value": "CC0"}, "Artist": {"value": "Ann"}});
        return json(json!({"query": {"pages": [{"imageinfo": [{"extmetadata": about}]}]}}));
    }
    None
}

/// A model that does what it is asked for.
fn model(request: &Request) -> Option<Answer> {
    if request.path != "/v1/chat/completions" {
        return None;
    }
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let (system, user) =
        (body["messages"][0]["content"].as_str().unwrap(), body["messages"][1]["content"].as_str().unwrap());
    let said = if system.contains("encyclopaedia for teaching") {
        "Here you are:\n```json\n{\"insects\": [\"Bees\", \"Wasps/hornets\"]}\n```".to_owned()
    } else if system.contains("You check") {
        // Honey is not borne out.
        json!({"grounded": user.contains("A bee"), "why": "because"}).to_string()
    } else {
        json!({"question": "What is it?", "answer": format!("It is {}.", if user.contains("A bee") { "a bee" } else { "honey" })}).to_string()
    };
    Some(Answer::ok(
        json!({"choices": [{"message": {"content": said}}], "usage": {"total_tokens": 10}}).to_string(),
    ))
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("FIELDS.txt"), "# fields\nBiology: Insects\n").unwrap();
        Self(folder)
    }

    fn plan(&self, model: &Server, pages: Pages) -> Plan {
        plan(self.0.path(), &model.address, pages)
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    fn data(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.out().join("data.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// From `FIELDS.txt` of a folder into `out` of it.
fn plan(folder: &Path, model: &str, pages: Pages) -> Plan {
    let manners = Manners {
        per_minute: 0,
        pause: Duration::ZERO,
        backoff: Duration::from_millis(1),
        silence: Duration::from_millis(400),
        private: true,
        ..Manners::default()
    };
    let model = Model { url: format!("http://{model}/v1"), name: "m".into(), key: Some("secret".into()) };
    Plan { pages, manners, ..Plan::new(folder.join("FIELDS.txt"), folder.join("out"), model) }
}

fn run(plan: Plan) -> Result<Made, Error> {
    Engine::open(plan)?.run(&mut |_, _, _| {}, &AtomicBool::new(false))
}

fn api(server: &Server) -> Pages {
    Pages::MediaWiki(format!("http://{}/w/api.php", server.address))
}

#[test]
fn from_fields_to_conversations() {
    let (place, wiki, model) = (Place::new(), Server::new(wiki), Server::new(model));
    let made = run(place.plan(&model, api(&wiki))).unwrap();
    // Topics; two questions; two judgements.
    assert_eq!((made.records, made.dropped, made.requests, made.tokens), (1, 1, 5, 50));
    assert_eq!((made.failed.len(), made.ended.as_deref()), (0, None), "{:?}", made.failed);
    let record = &place.data()[0];
    assert_eq!(record["conversations"][0], json!({"from": "human", "value": "<image>\nWhat is it?"}));
    assert_eq!(record["conversations"][1]["value"], "It is a bee.");
    for (key, value) in [
        ("field", "Biology"),
        ("subfield", "Insects"),
        ("topic", "Bees"),
        ("section", "Body"),
        ("caption", "A bee"),
        ("licence", "CC BY-SA 4.0"),
        ("image_licence", "CC0"),
        ("image_author", "Ann"),
    ] {
        assert_eq!(record[key], value, "{key}");
    }
    // The original, not the thumbnail; and the picture is where the record says.
    assert!(record["image_url"].as_str().unwrap().ends_with("/pictures/a/ab/Bee.png"), "{record}");
    assert_eq!(fs::read(place.out().join(record["image"].as_str().unwrap())).unwrap(), PNG);
    // What robots.txt forbids was not asked for.
    assert!(wiki.requests().iter().all(|request| !request.path.starts_with("/secret")));
    // The key went to the model and to nobody else.
    assert!(model.requests().iter().all(|request| request.head.contains("Bearer secret")));
    assert!(
        wiki.requests()
            .iter()
            .all(|request| !request.head.contains("secret\r\n") && !request.head.contains("Bearer"))
    );
    // Once more: nothing is asked again, and the bytes are the same.
    let (before, asked) =
        (fs::read(place.out().join("data.jsonl")).unwrap(), (wiki.requests().len(), model.requests().len()));
    run(place.plan(&model, api(&wiki))).unwrap();
    assert_eq!(fs::read(place.out().join("data.jsonl")).unwrap(), before);
    assert_eq!((wiki.requests().len(), model.requests().len()), asked);
}

/// Whatever goes wrong the first times, the result is that of servers without a fault.
#[test]
fn faults_that_pass_change_nothing() {
    let expected = {
        let (place, wiki, model) = (Place::new(), Server::new(wiki), Server::new(model));
        run(place.plan(&model, api(&wiki))).unwrap();
        place.data().iter().map(|record| record["conversations"].clone()).collect::<Vec<_>>()
    };
    for fault in [
        Answer::status(500, ""),
        Answer::status(503, "Retry-After: 0\r\n"),
        Answer::status(429, ""),
        Answer::Close,
        Answer::Cut,
        Answer::Silence,
        Answer::Garbage,
    ] {
        let (place, wiki, model) =
            (Place::new(), Server::failing(wiki, fault.clone()), Server::failing(model, fault.clone()));
        let made = run(place.plan(&model, api(&wiki))).unwrap();
        assert!(made.failed.is_empty(), "{fault:?}: {:?}", made.failed);
        let got: Vec<Value> = place.data().iter().map(|record| record["conversations"].clone()).collect();
        assert_eq!(got, expected, "{fault:?}");
    }
}

#[test]
fn faults_that_stay_leave_out_one_thing_and_are_told() {
    for (broken, stage, said) in [
        ("page=Honey", "pages", "404"),
        ("/pictures/honey.png", "pictures", "500"),
        ("no json", "answers", "without JSON"),
    ] {
        let place = Place::new();
        let wiki = Server::new(move |request| match request.path.contains(broken) {
            true if broken.starts_with('/') => Some(Answer::status(500, "")),
            true => Some(Answer::status(404, "")),
            false => wiki(request),
        });
        let model =
            Server::new(move |request| match broken == "no json" && request.body.contains("honey.png") {
                true => {
                    Some(Answer::ok(json!({"choices": [{"message": {"content": "I cannot."}}]}).to_string()))
                }
                false => model(request),
            });
        let made = run(place.plan(&model, api(&wiki))).unwrap();
        let (count, first) = &made.failed[stage];
        assert!(*count == 1 && first.contains(said), "{broken}: {first}");
        assert_eq!(made.records, 1, "{broken}");
    }
}

/// Thirty fields are not asked for one after the other of a model that is not there.
#[test]
fn a_model_that_cannot_be_asked_ends_the_run() {
    for (fault, said) in [
        (Answer::status(401, ""), "is the key right?"),
        (Answer::status(404, ""), "with /v1?"),
        (Answer::Close, "what was made stays, and the next run goes on"),
    ] {
        let (place, wiki) = (Place::new(), Server::new(wiki));
        fs::write(place.0.path().join("FIELDS.txt"), "Biology: Insects\nPhysics: Optics\n").unwrap();
        let broken = Server::new(move |_| Some(fault.clone()));
        let error = run(place.plan(&broken, api(&wiki))).unwrap_err();
        assert!(matches!(error, Error::Model { .. }) && error.to_string().contains(said), "{error}");
        assert!(broken.requests().len() <= 5, "only the first field was asked for");
        // What was asked for before is not asked for again.
        let model = Server::new(model);
        assert_eq!(run(place.plan(&model, api(&wiki))).unwrap().records, 1);
    }
}

#[test]
fn a_budget_ends_a_run_and_a_larger_one_goes_on() {
    let (place, wiki, model) = (Place::new(), Server::new(wiki), Server::new(model));
    let plan = place.plan(&model, api(&wiki));
    let made = run(Plan { budget: Budget { requests: 2, tokens: 1000 }, ..plan.clone() }).unwrap();
    assert!(made.ended.as_ref().unwrap().contains("the budget of 2 requests is used up"), "{:?}", made.ended);
    assert_eq!((made.records, made.requests), (0, 2));
    let made = run(Plan { budget: Budget { requests: 100, tokens: 20 }, ..plan.clone() }).unwrap();
    assert!(made.ended.as_ref().unwrap().contains("20 tokens"), "{:?}", made.ended);
    let made = run(plan).unwrap();
    assert_eq!((made.records, made.dropped, made.requests, model.requests().len()), (1, 1, 5, 5));
}

#[test]
fn a_run_that_is_ended_goes_on_to_the_same_bytes() {
    let whole = {
        let (place, wiki, model) = (Place::new(), Server::new(wiki), Server::new(model));
        run(place.plan(&model, api(&wiki))).unwrap();
        place.data().iter().map(|record| record["conversations"].clone()).collect::<Vec<_>>()
    };
    let (place, wiki, model) = (Place::new(), Server::new(wiki), Server::new(model));
    // At every place where a watcher is told of anything, one after the other.
    for end in 1.. {
        let (mut told, stop) = (0, AtomicBool::new(false));
        let mut watch = |_: &str, _: u64, _: u64| {
            told += 1;
            if told == end {
                stop.store(true, Ordering::Relaxed);
            }
        };
        match Engine::open(place.plan(&model, api(&wiki))).unwrap().run(&mut watch, &stop) {
            Err(Error::Stopped) => assert!(end < 100),
            done => {
                done.unwrap();
                break;
            }
        }
    }
    assert_eq!(place.data().iter().map(|record| record["conversations"].clone()).collect::<Vec<_>>(), whole);
    // Every question was asked once.
    assert_eq!(model.requests().len(), 5);
}

#[test]
fn pictures_at_private_addresses_are_refused() {
    let (place, wiki, model) = (Place::new(), Server::new(wiki), Server::new(model));
    let mut plan = place.plan(&model, api(&wiki));
    plan.manners.private = false;
    let made = run(plan).unwrap();
    assert_eq!(made.records, 0);
    // The wiki itself was named by the user; what its pages lead to was not.
    assert!(wiki.requests().iter().all(|request| request.path.starts_with("/w/api.php")));
    let shown: Vec<Value> = fs::read_dir(place.out().join("shown"))
        .unwrap()
        .map(|entry| serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap())
        .collect();
    assert_eq!(shown.len(), 3);
    assert!(shown.iter().all(|shown| shown["failed"].as_str().unwrap().contains("is private")), "{shown:?}");
}

fn page(folder: &Path, name: &str, body: &str) {
    let words = "word ".repeat(60);
    fs::write(
        folder.join(name),
        format!("<title>Bees</title><a rel=license href=https://cc0>x</a><h2>Body</h2><p>{words}</p>{body}"),
    )
    .unwrap();
}

#[test]
fn a_folder_of_pages_needs_no_network_but_the_model() {
    let (place, model) = (Place::new(), Server::new(model));
    let pages = place.0.path().join("pages");
    fs::create_dir_all(pages.join("img")).unwrap();
    fs::write(pages.join("img/bee.png"), PNG).unwrap();
    fs::write(place.0.path().join("outside.png"), PNG).unwrap();
    fs::write(pages.join("img/drawing.svg"), "<svg/>").unwrap();
    page(
        &pages,
        "bees.html",
        "<figure><img src=img/bee.png><figcaption>A bee</figcaption></figure><figure><img src=../outside.png></figure>\
         <figure><img src=/etc/passwd></figure><figure><img src=http://127.0.0.1/x.png></figure><figure><img src=img/drawing.svg></figure>",
    );
    let made = run(place.plan(&model, Pages::Folder(pages.clone()))).unwrap();
    assert_eq!((made.records, made.failed.len()), (1, 0), "{:?}", made.failed);
    let record = &place.data()[0];
    assert_eq!(
        (record["licence"].as_str(), record["page"].as_str()),
        (Some("https://cc0"), Some("bees.html"))
    );
    let message =
        Engine::open(place.plan(&model, Pages::Folder(place.out().join("none")))).err().unwrap().to_string();
    assert!(message.contains("cannot read the folder"), "{message}");
}

#[test]
fn a_dump_is_a_table_of_pages() {
    let (place, wiki, model) = (Place::new(), Server::new(wiki), Server::new(model));
    let words = "word ".repeat(60);
    let html = format!(
        "<h2>Body</h2><p>{words}</p><figure><img src=/pictures/bee.png><figcaption>A bee</figcaption></figure>"
    );
    let row = json!({"name": "Bees", "url": format!("http://{}/wiki/Bees", wiki.address), "article_body": {"html": html},
        "license": [{"name": "CC BY-SA", "identifier": "x"}]});
    let dump = place.0.path().join("dump.ndjson");
    fs::write(&dump, format!("{row}\n")).unwrap();
    let made = run(place.plan(&model, Pages::Dump(vec![dump]))).unwrap();
    assert_eq!((made.records, made.failed.len()), (1, 0), "{:?}", made.failed);
    assert_eq!(place.data()[0]["licence"], "CC BY-SA");
    let wrong = place.0.path().join("wrong.jsonl");
    fs::write(&wrong, "{\"a\": 1}\n").unwrap();
    let message = Engine::open(place.plan(&model, Pages::Dump(vec![wrong]))).err().unwrap().to_string();
    assert!(message.contains("no row has `title`"), "{message}");
}

#[test]
fn wrong_plans_are_told_before_anything_is_asked() {
    let (place, model) = (Place::new(), Server::new(model));
    let plan = place.plan(&model, Pages::MediaWiki("http://127.0.0.1:9/api.php".into()));
    for (text, expected) in [
        ("", "there is no field"),
        ("Biology", "line 1: `Field: subfield, subfield` is expected"),
        ("# c\nBiology:", "line 2: a field has a name and at least one subfield"),
        ("A: b\nA: c", "line 2: `A` stands twice"),
    ] {
        fs::write(&plan.fields, text).unwrap();
        let message = run(plan.clone()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    fs::write(&plan.fields, "A: b").unwrap();
    let mut offline = plan.clone();
    offline.manners.settings.offline = true;
    assert!(matches!(run(offline).unwrap_err(), Error::Offline(_)));
    assert!(!format!("{plan:?}").contains("secret"));
    assert_eq!(model.requests().len(), 0);
}
