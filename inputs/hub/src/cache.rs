//! The folders that the Python tools keep, and the locks that they take.
//!
//! ```text
//! models--org--name/blobs/<etag>                    the bytes; named by sha256 for large files
//! models--org--name/blobs/<etag>.incomplete         an interrupted download
//! models--org--name/refs/<branch or tag>            holds a commit
//! models--org--name/snapshots/<commit>/<file>       a relative link to a blob
//! .locks/models--org--name/<etag>.lock              held while a blob is being written
//! ```
//!
//! Of a data set it is `datasets--org--name`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::{Cache, Repo, RepoType};

use crate::remote::Kind;
use crate::{Error, Progress, Result, names, retry};

/// One repository's part of the cache, seen from one revision.
pub(crate) struct RepoCache {
    root: PathBuf,
    repo: Repo,
}

/// An exclusive lock on a blob, until dropped. The file stays, as the Python tools leave it: removing it would
/// let two processes hold "the" lock at once.
pub(crate) struct BlobLock(#[expect(dead_code, reason = "held for its drop")] File);

impl RepoCache {
    pub(crate) fn new(root: &Path, kind: Kind, repo: &str, revision: &str) -> Self {
        let kind = match kind {
            Kind::Model => RepoType::Model,
            Kind::Dataset => RepoType::Dataset,
        };
        let repo = Repo::with_revision(repo.to_owned(), kind, revision.to_owned());
        Self { root: root.to_path_buf(), repo }
    }

    /// The file at this revision, if the cache has it.
    pub(crate) fn locate(&self, file: &str) -> Option<PathBuf> {
        // A commit needs no ref: it names its snapshot.
        if names::is_commit(self.repo.revision()) {
            let path = self.snapshot(self.repo.revision()).join(file);
            return path.exists().then_some(path);
        }
        Cache::new(self.root.clone()).repo(self.repo.clone()).get(file)
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// Waits for the lock on a blob.
    pub(crate) fn lock(&self, etag: &str, progress: &dyn Progress) -> Result<BlobLock> {
        let path = self.root.join(".locks").join(self.repo.folder_name()).join(format!("{etag}.lock"));
        make_parent(&path)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(BlobLock(file)),
                // A file system without locks (some network mounts): the hash still guards the content.
                Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {
                    return Ok(BlobLock(file));
                }
                Err(TryLockError::Error(e)) => return Err(Error::io(&path)(e)),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        progress.note("another process is downloading this file; waiting for it");
                        told = true;
                    }
                    retry::pause(Duration::from_millis(100), progress)?;
                }
            }
        }
    }

    /// Makes a finished blob visible as `file` of `commit`, and the revision point at the commit.
    pub(crate) fn publish(&self, etag: &str, commit: &str, file: &str) -> Result<PathBuf> {
        let pointer = self.snapshot(commit).join(file);
        make_parent(&pointer)?;
        // From snapshots/<commit>/a/b up to the repository's folder: two levels and one for each folder in `file`.
        let up = "../".repeat(2 + file.matches('/').count());
        link(&self.blob(etag), &format!("{up}blobs/{etag}"), &pointer)?;
        self.point(commit)?;
        Ok(pointer)
    }

    /// Makes the revision point at a commit.
    pub(crate) fn point(&self, commit: &str) -> Result<()> {
        if self.repo.revision() == commit {
            return Ok(());
        }
        let refs = self.folder().join("refs");
        Cache::new(self.root.clone())
            .repo(self.repo.clone())
            .create_ref(commit)
            .map_err(Error::io(refs.join(self.repo.revision())))
    }

    fn folder(&self) -> PathBuf {
        self.root.join(self.repo.folder_name())
    }

    fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit)
    }
}

pub(crate) fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(Error::io(parent)),
        None => Ok(()),
    }
}

/// Puts `pointer` in place: a relative symbolic link, so that the cache can be moved; where the file system has
/// none, another name or a copy of the same bytes. Never a moment in which a valid pointer is missing.
fn link(blob: &Path, target: &str, pointer: &Path) -> Result<()> {
    if let (Ok(a), Ok(b)) = (fs::canonicalize(pointer), fs::canonicalize(blob))
        && a == b
    {
        return Ok(());
    }
    let mut name = pointer.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let fresh = pointer.with_file_name(name);
    let _ = fs::remove_file(&fresh); // left by a process of the same number that was killed
    symlink(target, &fresh)
        .or_else(|_| fs::hard_link(blob, &fresh))
        .or_else(|_| fs::copy(blob, &fresh).map(drop))
        .and_then(|()| fs::rename(&fresh, pointer))
        .map_err(Error::io(pointer))
}

#[cfg(unix)]
fn symlink(target: &str, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Symbolic links need a privilege on Windows; a second name for the blob does not.
#[cfg(not(unix))]
fn symlink(_target: &str, _link: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
