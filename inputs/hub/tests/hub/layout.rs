//! The cache as the Python tools keep it.

use std::path::{Path, PathBuf};

use zoo_hub::{Error, Hub, Quiet};

use crate::server::{COMMIT, REPO, Server, noise, sha256};

/// Every file and link below `root`, sorted; a link with its target, a ref with its content.
fn tree(root: &Path) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if let Ok(target) = std::fs::read_link(&path) {
                out.push(format!("{name} -> {}", target.display()));
            } else if path.is_dir() {
                walk(&path, root, out);
            } else if name.contains("/refs/") {
                out.push(format!("{name} = {}", std::fs::read_to_string(&path).unwrap()));
            } else {
                out.push(name);
            }
        }
    }
    let mut out = Vec::new();
    walk(root, root, &mut out);
    out.sort();
    out
}

#[test]
#[cfg(unix)]
fn same_tree_as_the_python_tools() {
    let bytes = noise(3000);
    let server = Server::start().large("unet/model.safetensors", &bytes).small("config.json", b"{}");
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());
    hub.fetch(REPO, "unet/model.safetensors", "refs/pr/1", None, &Quiet).unwrap();
    hub.fetch(REPO, "config.json", COMMIT, None, &Quiet).unwrap();
    let (large, small) = (sha256(&bytes), sha256(b"{}")[..40].to_owned());
    // Recorded from huggingface_hub 2.4.0 against the same protocol; it adds a CACHEDIR.TAG for backup tools.
    let mut expected = vec![
        format!(".locks/models--org--name/{large}.lock"),
        format!(".locks/models--org--name/{small}.lock"),
        format!("models--org--name/blobs/{large}"),
        format!("models--org--name/blobs/{small}"),
        format!("models--org--name/refs/refs/pr/1 = {COMMIT}"),
        format!("models--org--name/snapshots/{COMMIT}/config.json -> ../../blobs/{small}"),
        format!("models--org--name/snapshots/{COMMIT}/unet/model.safetensors -> ../../../blobs/{large}"),
    ];
    expected.sort();
    assert_eq!(tree(cache.path()), expected);
}

/// A cache with one file at `main`, made without the crate under test.
fn python_cache() -> (tempfile::TempDir, PathBuf) {
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--org--name");
    let snapshot = repo.join("snapshots").join(COMMIT);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(repo.join("refs")).unwrap();
    std::fs::write(repo.join("refs/main"), COMMIT).unwrap();
    let file = snapshot.join("config.json");
    std::fs::write(&file, b"{}").unwrap();
    (cache, file)
}

#[test]
fn what_python_has_fetched_is_found_without_a_request() {
    let (cache, file) = python_cache();
    let server = Server::start();
    let hub = server.client(cache.path());
    for revision in ["main", COMMIT] {
        assert_eq!(hub.locate(REPO, "config.json", revision).as_ref(), Some(&file));
        assert_eq!(hub.fetch(REPO, "config.json", revision, None, &Quiet).unwrap(), file);
        assert_eq!(hub.fetch(REPO, "config.json", revision, Some(&sha256(b"{}")), &Quiet).unwrap(), file);
    }
    assert_eq!(hub.locate(REPO, "config.json", "v2"), None);
    assert_eq!(hub.locate(REPO, "other.json", "main"), None);
    assert!(server.log().is_empty());
}

#[test]
fn a_commit_makes_no_ref_and_a_second_fetch_no_request() {
    let server = Server::start().large("w.bin", b"weights");
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());
    let path = hub.fetch(REPO, "w.bin", COMMIT, None, &Quiet).unwrap();
    assert!(!cache.path().join("models--org--name/refs").exists());
    let requests = server.log().len();
    assert_eq!(hub.fetch(REPO, "w.bin", COMMIT, None, &Quiet).unwrap(), path);
    assert_eq!(server.log().len(), requests);
}

#[test]
fn a_blob_of_another_revision_is_not_downloaded_again() {
    let server = Server::start().large("w.bin", b"weights");
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());
    hub.fetch(REPO, "w.bin", "main", None, &Quiet).unwrap();
    hub.fetch(REPO, "w.bin", "refs/pr/1", None, &Quiet).unwrap();
    assert_eq!(server.served(), b"weights".len());
}

#[test]
fn a_renamed_repository_is_followed() {
    let server = Server::start().small("config.json", b"{}").moved_from("org/old");
    let cache = tempfile::tempdir().unwrap();
    let path = server.client(cache.path()).fetch("org/old", "config.json", "main", None, &Quiet).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"{}");
    assert!(cache.path().join("models--org--old").exists());
}

#[test]
fn an_empty_file_is_a_file() {
    let server = Server::start().small("empty.txt", b"");
    let cache = tempfile::tempdir().unwrap();
    let path = server.client(cache.path()).fetch(REPO, "empty.txt", "main", None, &Quiet).unwrap();
    assert_eq!(std::fs::metadata(path).unwrap().len(), 0);
}

fn sharded(index: &str) -> (Server, tempfile::TempDir, Hub) {
    let server = Server::start()
        .small("m/model.safetensors.index.json", index.as_bytes())
        .large("m/model-1.safetensors", &noise(1000))
        .large("m/model-2.safetensors", &noise(2000));
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());
    (server, cache, hub)
}

/// An index here is a list of names with a blank between them: what is in one is its reader's affair.
fn all(index: &Path) -> Result<Vec<String>, String> {
    Ok(std::fs::read_to_string(index).unwrap().split(' ').map(str::to_owned).collect())
}

#[test]
fn a_sharded_checkpoint_comes_whole() {
    let index = "model-1.safetensors model-2.safetensors";
    let (server, _cache, hub) = sharded(index);
    let file = "m/model.safetensors.index.json";
    hub.fetch(REPO, file, "main", None, &Quiet).unwrap();
    assert_eq!(hub.locate_checkpoint(REPO, file, "main", &all), None, "the shards are not there yet");
    let paths = hub.fetch_checkpoint(REPO, file, "main", None, &all, &Quiet).unwrap();
    assert_eq!(hub.locate_checkpoint(REPO, file, "main", &all).as_ref(), Some(&paths));
    let sizes: Vec<_> = paths.iter().map(|path| std::fs::metadata(path).unwrap().len()).collect();
    assert_eq!(sizes, [1000, 2000]);
    assert_eq!(server.served(), index.len() + 3000);
}

#[test]
fn a_part_of_a_sharded_checkpoint_costs_only_its_shards() {
    let index = "model-1.safetensors model-2.safetensors";
    let (server, _cache, hub) = sharded(index);
    let file = "m/model.safetensors.index.json";
    let part = |index: &Path| Ok(all(index)?.into_iter().take(1).collect());
    let paths = hub.fetch_checkpoint(REPO, file, "main", None, &part, &Quiet).unwrap();
    assert_eq!(paths.len(), 1);
    assert!(paths[0].ends_with("model-1.safetensors"), "{paths:?}");
    assert_eq!(server.served(), index.len() + 1000, "the other shard stays where it is");
    assert_eq!(hub.locate_checkpoint(REPO, file, "main", &part), Some(paths));
    assert_eq!(hub.locate_checkpoint(REPO, file, "main", &all), None);
}

#[test]
fn shards_may_lie_in_folders_below_their_index() {
    let server = Server::start()
        .small("m/model.safetensors.index.json", b"parts/one.safetensors")
        .large("m/parts/one.safetensors", &noise(1000));
    let cache = tempfile::tempdir().unwrap();
    let hub = server.client(cache.path());
    let file = "m/model.safetensors.index.json";
    let paths = hub.fetch_checkpoint(REPO, file, "main", None, &all, &Quiet).unwrap();
    assert!(paths[0].ends_with("m/parts/one.safetensors"), "{paths:?}");
    assert_eq!(hub.locate_checkpoint(REPO, file, "main", &all), Some(paths));
}

#[test]
fn an_index_cannot_reach_outside_its_folder() {
    let unreadable = |_: &Path| Err("this is no index".to_owned());
    let cases: [(zoo_hub::Listing<'_>, &str); 2] = [(&all, "`../x`"), (&unreadable, "no index")];
    for (listing, word) in cases {
        let (_server, _cache, hub) = sharded("../x");
        let error = hub
            .fetch_checkpoint(REPO, "m/model.safetensors.index.json", "main", None, listing, &Quiet)
            .unwrap_err();
        assert!(matches!(error, Error::Index { .. }) && error.to_string().contains(word), "{error}");
    }
}
