//! Interruptions, and what the next try makes of them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use zoo_hub::{Error, Progress, Quiet};

use crate::server::{REPO, Server, Trouble, noise, sha256};

const FILE: &str = "model.safetensors";
const SIZE: usize = 100_000;

fn partial(cache: &Path, etag: &str) -> PathBuf {
    cache.join("models--org--name/blobs").join(format!("{etag}.incomplete"))
}

/// Cancels as soon as this many bytes have arrived.
struct StopAt(u64, AtomicU64);

impl Progress for StopAt {
    fn bytes(&self, _file: &str, done: u64, total: u64) {
        assert!(done <= total);
        self.1.store(done, Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.1.load(Ordering::Relaxed) >= self.0
    }
}

#[test]
fn a_cut_connection_is_continued_where_it_stopped() {
    let bytes = noise(SIZE);
    let server =
        Server::start().large(FILE, &bytes).trouble([Trouble::CutAfter(30_000), Trouble::CutAfter(40_000)]);
    let cache = tempfile::tempdir().unwrap();
    let path = server.client(cache.path()).fetch(REPO, FILE, "main", None, &Quiet).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    assert_eq!(server.served(), SIZE, "no byte is sent twice");
    let asked = server.ranges();
    assert_eq!(asked, [None, Some("bytes=30000-".into()), Some("bytes=70000-".into())]);
}

#[test]
fn a_cancelled_download_is_continued_by_the_next_call() {
    let bytes = noise(SIZE);
    let server = Server::start().large(FILE, &bytes).trouble([Trouble::Slow(Duration::from_millis(2))]);
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());

    let stop = StopAt(20_000, AtomicU64::new(0));
    let error = hub.fetch(REPO, FILE, "main", None, &stop).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    let partial = partial(cache.path(), &sha256(&bytes));
    let kept = std::fs::read(&partial).unwrap();
    assert!(kept.len() >= 20_000 && kept.len() < SIZE, "{}", kept.len());
    assert_eq!(kept, bytes[..kept.len()]);
    assert!(hub.locate(REPO, FILE, "main").is_none());
    assert!(!cache.path().join("models--org--name/snapshots").exists(), "nothing else is left");

    let path = hub.fetch(REPO, FILE, "main", None, &Quiet).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    assert_eq!(server.ranges()[1], Some(format!("bytes={}-", kept.len())));
    assert!(!partial.exists());
}

#[test]
fn a_flag_cancels_before_anything_is_sent() {
    let server = Server::start().large(FILE, b"x");
    let cache = tempfile::tempdir().unwrap();
    let flag = AtomicBool::new(true);
    let error = server.client(cache.path()).fetch(REPO, FILE, "main", None, &flag).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(server.log().is_empty());
}

/// Puts `left` where an interrupted download would have and fetches.
fn fetch_after(left: &[u8], troubles: Vec<Trouble>) -> (Server, Vec<u8>) {
    let bytes = noise(SIZE);
    let server = Server::start().large(FILE, &bytes).trouble(troubles);
    let cache = tempfile::tempdir().unwrap();
    let partial = partial(cache.path(), &sha256(&bytes));
    std::fs::create_dir_all(partial.parent().unwrap()).unwrap();
    std::fs::write(&partial, left).unwrap();
    let path = server.client(cache.path()).fetch(REPO, FILE, "main", None, &Quiet).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    (server, bytes)
}

#[test]
fn a_complete_partial_file_needs_no_byte() {
    let (server, _) = fetch_after(&noise(SIZE), vec![]);
    assert_eq!(server.served(), 0);
}

#[test]
fn a_partial_file_that_is_too_long_is_dropped() {
    let (server, _) = fetch_after(&noise(SIZE + 1), vec![]);
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn a_damaged_partial_file_is_found_out_and_fetched_anew() {
    let (server, _) = fetch_after(&[0; 1000], vec![]);
    assert_eq!(server.ranges(), [Some("bytes=1000-".into()), None]);
    assert_eq!(server.served(), SIZE - 1000 + SIZE);
}

#[test]
fn a_server_without_ranges_starts_from_zero() {
    let (server, bytes) = fetch_after(&noise(1000), vec![Trouble::NoRanges]);
    assert_eq!(server.served(), bytes.len());
}

#[test]
fn an_unsatisfiable_range_starts_from_zero() {
    let (server, _) = fetch_after(&noise(1000), vec![Trouble::Status(416)]);
    assert_eq!(server.ranges(), [Some("bytes=1000-".into()), None]);
}

#[test]
fn busy_servers_are_tried_again() {
    let bytes = noise(5000);
    let server = Server::start().large(FILE, &bytes).head_status([503, 429]).trouble([
        Trouble::Status(503),
        Trouble::Status(500),
        Trouble::Status(403),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let path = server.client(cache.path()).fetch(REPO, FILE, "main", None, &Quiet).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
}

#[test]
fn but_not_for_ever() {
    let server = Server::start().large(FILE, b"x").head_status([503; 20]);
    let cache = tempfile::tempdir().unwrap();
    let error = server.client(cache.path()).fetch(REPO, FILE, "main", None, &Quiet).unwrap_err().to_string();
    assert!(error.contains("503") && error.contains("try again later"), "{error}");
    assert_eq!(server.log().len(), 5);
}

#[test]
fn two_at_once_download_once() {
    let bytes = noise(20_000);
    let server = Server::start().large(FILE, &bytes).trouble([Trouble::Slow(Duration::from_millis(5))]);
    let cache = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        let fetches: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| server.client(cache.path()).fetch(REPO, FILE, "main", None, &Quiet).unwrap())
            })
            .collect();
        for fetch in fetches {
            assert_eq!(std::fs::read(fetch.join().unwrap()).unwrap(), bytes);
        }
    });
    assert_eq!(server.served(), bytes.len());
}
