//! The cache and the Hub behind it.

use std::path::{Path, PathBuf};

use crate::cache::RepoCache;
use crate::download::{Download, Expected};
use crate::hash::sha256_file;
use crate::remote::{Address, Kind, Metadata, Remote};
use crate::retry::retry;
use crate::settings::Settings;
use crate::{Error, Progress, Result, names};

/// Files of repositories, of models or of data sets, from the cache or, when asked to, from the Hub.
#[derive(Debug, Clone)]
pub struct Hub {
    pub(crate) settings: Settings,
    pub(crate) kind: Kind,
}

impl Hub {
    /// With the cache, endpoint and token that the environment names.
    ///
    /// # Errors
    /// [`Error::Name`] when there is no home folder and no variable names a cache.
    pub fn from_env() -> Result<Self> {
        Ok(Self::new(Settings::from_env()?))
    }

    /// With explicit settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings, kind: Kind::Model }
    }

    /// The same Hub and cache, where names are those of data sets.
    #[must_use]
    pub fn datasets(&self) -> Self {
        Self { settings: self.settings.clone(), kind: Kind::Dataset }
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The file's path in the cache, if it is there. Opens no socket and changes nothing.
    ///
    /// `repo` is `org/name`, `file` a path inside it, `revision` a branch, tag or commit.
    pub fn locate(&self, repo: &str, file: &str, revision: &str) -> Option<PathBuf> {
        let address = Address { repo, file, revision };
        check(address).ok()?;
        self.cache(address).locate(file)
    }

    /// The file's path in the cache, after downloading it if it is not there.
    ///
    /// A file that the cache has at this revision, with the right `sha256` where one is given, is returned without
    /// a socket; a branch is thus not looked up again. An interrupted download is continued, also one of another
    /// process or tool. Connections that break and servers that are busy are tried again, five times without
    /// progress in between.
    ///
    /// # Errors
    /// Those of [`Error`], each with what to do about it. After any of them the cache holds at most a partial
    /// file, which the next call continues.
    pub fn fetch(
        &self,
        repo: &str,
        file: &str,
        revision: &str,
        sha256: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        let address = Address { repo, file, revision };
        check(address)?;
        let sha256 = sha256.map(str::to_ascii_lowercase);
        let cache = self.cache(address);
        if let Some(path) = cache.locate(file) {
            match sha256.as_deref().map(|expected| verify_cached(&path, expected, address)) {
                None | Some(Ok(())) => return Ok(path),
                // A branch may have moved to the right file since; a commit cannot.
                Some(Err(error)) if self.settings.offline || names::is_commit(revision) => return Err(error),
                Some(Err(_)) => {}
            }
        }
        if self.settings.offline {
            return Err(Error::Offline {
                repo: repo.to_owned(),
                file: file.to_owned(),
                revision: revision.to_owned(),
                cache: self.settings.cache.clone(),
            });
        }
        self.download(address, &cache, sha256.as_deref(), progress)
    }

    fn download(
        &self,
        address: Address<'_>,
        cache: &RepoCache,
        sha256: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        let backoff = self.settings.backoff;
        let remote = Remote::new(&self.settings, self.kind)?;
        let meta = retry(backoff, progress, || remote.metadata(address))?;
        agree(&meta, sha256, address)?;
        let expected = match (sha256, meta.sha256()) {
            (Some(sha256), _) => Some(Expected { sha256, says: "the registry" }),
            (None, Some(sha256)) => Some(Expected { sha256, says: "the Hub" }),
            (None, None) => None,
        };
        let blob = cache.blob(&meta.etag);
        let _lock = cache.lock(&meta.etag, progress)?;
        // Whoever held the lock may have finished it.
        if blob.exists() {
            if let Some(expected) = sha256 {
                verify_cached(&blob, expected, address)?;
            }
        } else {
            Download { remote: &remote, address, meta: &meta, expected, backoff, progress }.run(&blob)?;
        }
        cache.publish(&meta.etag, &meta.commit, address.file)
    }

    pub(crate) fn cache(&self, address: Address<'_>) -> RepoCache {
        RepoCache::new(&self.settings.cache, self.kind, address.repo, address.revision)
    }
}

pub(crate) fn check(address: Address<'_>) -> Result<()> {
    names::repo(address.repo)?;
    names::file(address.file)?;
    names::revision(address.revision)
}

/// Refuses, before a byte of it is downloaded, a large file that is not the one the registry means.
fn agree(meta: &Metadata, sha256: Option<&str>, address: Address<'_>) -> Result<()> {
    match (sha256, meta.sha256()) {
        (Some(expected), Some(found)) if expected != found => {
            Err(mismatch(address, expected, found.to_owned()))
        }
        _ => Ok(()),
    }
}

/// A blob named by its sha256 was verified when it was written; any other is read.
fn verify_cached(path: &Path, expected: &str, address: Address<'_>) -> Result<()> {
    let blob = std::fs::canonicalize(path).map_err(Error::io(path))?;
    let name = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let found = if names::is_sha256(name) { name.to_owned() } else { sha256_file(&blob)? };
    if found == expected { Ok(()) } else { Err(mismatch(address, expected, found)) }
}

fn mismatch(address: Address<'_>, expected: &str, found: String) -> Error {
    Error::Hash {
        what: format!("`{}` of {} at revision {}", address.file, address.repo, address.revision),
        source_of_expected: "the registry",
        expected: expected.to_owned(),
        found,
        removed: false,
    }
}
