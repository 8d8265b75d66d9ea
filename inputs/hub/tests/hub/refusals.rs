//! What is refused, with the words that the user reads.

use std::path::Path;
use std::time::{Duration, Instant};

use zoo_hub::{Error, Hub, Quiet, Settings};

use crate::server::{Access, COMMIT, REPO, Server, TOKEN, Trouble, listener, noise, sha256};

const FILE: &str = "model.safetensors";

/// The error of a fetch; every word in `words` must be in its message.
#[track_caller]
fn refused(hub: &Hub, repo: &str, file: &str, revision: &str, sha256: Option<&str>, words: &[&str]) -> Error {
    let error = hub.fetch(repo, file, revision, sha256, &Quiet).unwrap_err();
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(!message.contains(TOKEN), "the token is in: {message}");
    error
}

fn is_empty(cache: &Path) -> bool {
    !cache.join("models--org--name").exists()
}

#[test]
fn what_is_not_there_is_named() {
    let server = Server::start().large(FILE, b"x");
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());
    refused(
        &hub,
        "org/other",
        FILE,
        "main",
        None,
        &["no repository `org/other`", "HF_TOKEN", &server.endpoint()],
    );
    refused(&hub, REPO, "nope.bin", "main", None, &["no file `nope.bin`", REPO, "main"]);
    refused(&hub, REPO, FILE, "v9", None, &["no revision `v9`", REPO]);
    assert!(is_empty(cache.path()));
}

#[test]
fn gated_and_private_repositories_say_how_to_get_in() {
    let server = Server::start().large(FILE, b"x").access(Access::Gated);
    let cache = tempfile::tempdir().unwrap();
    let url = "https://huggingface.co/org/name";
    let without = server.client(cache.path());
    refused(&without, REPO, FILE, "main", None, &["gated", url, "settings/tokens", "HF_TOKEN"]);
    let with = |token: &str| {
        let mut settings = server.settings(cache.path());
        settings.token = Some(token.to_owned());
        Hub::new(settings)
    };
    refused(&with("hf_other"), REPO, FILE, "main", None, &["gated", "has no access to it yet"]);
    assert!(is_empty(cache.path()));
    assert!(with(TOKEN).fetch(REPO, FILE, "main", None, &Quiet).is_ok());

    let private = Server::start().large(FILE, b"x").access(Access::Private);
    refused(&private.client(cache.path()), "org/new", FILE, "main", None, &["private", "HF_TOKEN"]);
}

#[test]
fn the_token_is_not_sent_to_the_storage_host() {
    let server = Server::start().large(FILE, b"x").access(Access::Gated).moved_from("org/old");
    let cache = tempfile::tempdir().unwrap();
    let mut settings = server.settings(cache.path());
    settings.token = Some(TOKEN.to_owned());
    Hub::new(settings).fetch("org/old", FILE, "main", None, &Quiet).unwrap();
    let log = server.log();
    assert!(log.iter().any(|r| r.storage));
    for request in &log {
        assert_eq!(request.authorization.is_some(), !request.storage, "{request:?}");
    }
}

#[test]
fn a_token_that_cannot_be_a_header_is_refused_without_being_shown() {
    let server = Server::start().large(FILE, b"x");
    let cache = tempfile::tempdir().unwrap();
    let mut settings = server.settings(cache.path());
    settings.token = Some(format!("{TOKEN}\nX-Evil: 1"));
    refused(&Hub::new(settings), REPO, FILE, "main", None, &["token"]);
    assert!(server.log().is_empty());
}

#[test]
fn a_file_without_certificates_is_named() {
    let server = Server::start().large(FILE, b"x");
    let cache = tempfile::tempdir().unwrap();
    let path = cache.path().join("ca.pem");
    std::fs::write(&path, "not a certificate").unwrap();
    let mut settings = server.settings(cache.path());
    settings.certificates = Some(path);
    refused(&Hub::new(settings), REPO, FILE, "main", None, &["ca.pem", "no certificate", "SSL_CERT_FILE"]);
    assert!(server.log().is_empty());
}

#[test]
fn wrong_bytes_are_removed() {
    let bytes = noise(5000);
    let server = Server::start().large(FILE, &bytes).trouble([Trouble::Corrupt]);
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());
    let expected = sha256(&bytes);
    refused(&hub, REPO, FILE, "main", None, &["sha256", &expected, "the Hub says", "was removed"]);
    let left: Vec<_> = std::fs::read_dir(cache.path().join("models--org--name/blobs")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(hub.fetch(REPO, FILE, "main", None, &Quiet).is_ok(), "the next try is clean");
}

#[test]
fn a_file_other_than_the_registry_means_is_not_even_downloaded() {
    let bytes = noise(5000);
    let server = Server::start().large(FILE, &bytes);
    let cache = tempfile::tempdir().unwrap();
    let wanted = "0".repeat(64);
    let words = [wanted.as_str(), &sha256(&bytes), "the registry says", "nothing was downloaded"];
    refused(&server.client(cache.path()), REPO, FILE, "main", Some(&wanted), &words);
    assert_eq!(server.served(), 0);
    assert!(is_empty(cache.path()));
}

#[test]
fn a_small_file_is_held_to_the_registry_too() {
    let server = Server::start().small("config.json", b"{}");
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());
    let good = sha256(b"{}");
    let wrong = "0".repeat(64);
    refused(&hub, REPO, "config.json", "main", Some(&wrong), &[&good, "the registry says", "was removed"]);
    hub.fetch(REPO, "config.json", "main", Some(&good.to_uppercase()), &Quiet).unwrap();
    refused(&hub, REPO, "config.json", COMMIT, Some(&wrong), &[&good, "the registry says"]);
}

#[test]
fn another_total_in_a_range_is_not_patched_together() {
    let server =
        Server::start().large(FILE, &noise(5000)).trouble([Trouble::CutAfter(1000), Trouble::OtherTotal]);
    let cache = tempfile::tempdir().unwrap();
    refused(&server.client(cache.path()), REPO, FILE, "main", None, &["5000 bytes", "/5001", "HF_ENDPOINT"]);
}

#[test]
fn offline_opens_no_socket() {
    // Not the public address and not a server: connections would wait in the queue of this listener.
    let blackhole = listener();
    blackhole.set_nonblocking(true).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(cache.path());
    settings.endpoint = format!("http://{}", blackhole.local_addr().unwrap());
    settings.offline = true;
    let hub = Hub::new(settings);
    let words = [FILE, REPO, "main", "HF_HUB_OFFLINE", "zoo pull", "hf download org/name model.safetensors"];
    refused(&hub, REPO, FILE, "main", None, &words);
    refused(&hub, REPO, "model.safetensors.index.json", "main", None, &["index.json"]);
    assert!(hub.locate(REPO, FILE, "main").is_none());
    assert_eq!(blackhole.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "and writes nothing");
}

#[test]
fn nobody_there_is_said_at_once() {
    let address = listener().local_addr().unwrap(); // closed again
    let cache = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(cache.path());
    settings.endpoint = format!("http://{address}");
    settings.backoff = Duration::from_secs(60); // what a single retry would cost
    let begun = Instant::now();
    refused(&Hub::new(settings), REPO, FILE, "main", None, &["refused", "HF_ENDPOINT", &address.to_string()]);
    assert!(begun.elapsed() < Duration::from_secs(30), "no retries: {:?}", begun.elapsed());
}

#[test]
fn a_web_server_that_is_no_hub_is_called_so() {
    let server = Server::start().head_status([200]);
    let cache = tempfile::tempdir().unwrap();
    refused(&server.client(cache.path()), REPO, FILE, "main", None, &["X-Repo-Commit", "HF_ENDPOINT"]);
}

#[test]
fn names_that_leave_the_cache_are_refused_before_any_request() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());
    refused(&hub, "../name", FILE, "main", None, &["`../name` is not a valid repository"]);
    refused(&hub, REPO, "../../x", "main", None, &["`../../x` is not a valid file name"]);
    refused(&hub, REPO, FILE, "../x", None, &["`../x` is not a valid revision"]);
    assert!(hub.locate(REPO, "../../x", "main").is_none());
    assert!(server.log().is_empty());
}
