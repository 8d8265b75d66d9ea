//! Data sets: the list of their files, and their part of the cache.

use zoo_hub::{Error, Quiet, Settings};

use crate::server::{Access, COMMIT, REPO, Server, TOKEN, Trouble, noise, sha256};

#[test]
fn files_are_listed_and_fetched_as_of_one_commit() {
    let bytes = noise(3000);
    let server = Server::start().large("data/test-00000.parquet", &bytes).small("README.md", b"about");
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path()).datasets();
    let listed = hub.list(REPO, "main", &Quiet).unwrap();
    assert_eq!(listed.commit, COMMIT);
    assert_eq!(listed.files, ["README.md", "data/test-00000.parquet"]);

    // One of two does not come: the branch does not point at what is not complete.
    let other = Server::start().large("data/test-00000.parquet", &bytes).trouble([Trouble::Corrupt]);
    let broken = other.client(cache.path()).datasets();
    assert!(broken.fetch_all(REPO, "main", &listed.commit, &listed.files[1..], &Quiet).is_err());
    assert_eq!(hub.locate(REPO, "data/test-00000.parquet", "main"), None);

    let paths = hub.fetch_all(REPO, "main", &listed.commit, &listed.files[1..], &Quiet).unwrap();
    assert_eq!(std::fs::read(&paths[0]).unwrap(), bytes);
    let root = cache.path().join("datasets--org--name");
    assert_eq!(paths[0], root.join("snapshots").join(COMMIT).join("data/test-00000.parquet"));
    assert_eq!(std::fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    assert!(root.join("blobs").join(sha256(&bytes)).is_file());
    assert_eq!(hub.locate(REPO, "data/test-00000.parquet", "main").as_ref(), Some(&paths[0]));
    assert!(!cache.path().join("models--org--name").exists());
    assert!(
        server
            .log()
            .iter()
            .any(|r| r.path == format!("/datasets/{REPO}/resolve/{COMMIT}/data/test-00000.parquet"))
    );
    // What the cache has is not asked for again.
    let before = server.log().len();
    hub.fetch_all(REPO, "main", &listed.commit, &listed.files[1..], &Quiet).unwrap();
    assert_eq!(server.log().len(), before);
}

#[track_caller]
fn refused(server: &Server, change: impl FnOnce(&mut Settings), repo: &str, said: &str) {
    let cache = tempfile::tempdir().unwrap();
    let mut settings = server.settings(cache.path());
    change(&mut settings);
    let error = zoo_hub::Hub::new(settings).datasets().list(repo, "main", &Quiet).unwrap_err().to_string();
    assert!(error.contains(said), "{error} lacks {said}");
    assert!(!error.contains(TOKEN), "{error}");
}

#[test]
fn what_cannot_be_listed_says_why() {
    let server = || Server::start().small("a.jsonl", b"{}");
    let token = |settings: &mut Settings| settings.token = Some(TOKEN.to_owned());
    refused(&server(), |_| {}, "org/none", "no repository `datasets/org/none`");
    refused(&server(), |_| {}, "../x", "not a valid repository");
    refused(&server(), |settings| settings.offline = true, REPO, "no socket is opened");
    refused(&server().access(Access::Gated), |_| {}, REPO, "huggingface.co/datasets/org/name");
    refused(&server().access(Access::Private), |_| {}, REPO, "HF_TOKEN");
    refused(&server().lists("<html>Sign in</html>"), |_| {}, REPO, "list of files cannot be read");
    refused(&server().lists("{\"sha\": \"../..\"}"), token, REPO, "names no commit");
    let outside = format!("{{\"sha\": \"{COMMIT}\", \"siblings\": [{{\"rfilename\": \"../../x\"}}]}}");
    refused(&server().lists(&outside), |_| {}, REPO, "not a valid file name");
    let missing = server().client(tempfile::tempdir().unwrap().path()).datasets();
    assert!(matches!(missing.list(REPO, "v9", &Quiet), Err(Error::NoRevision { .. })));
}
