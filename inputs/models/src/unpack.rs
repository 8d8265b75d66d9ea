//! From the program to a folder on disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::Shipped;

/// A model that could not be unpacked.
#[derive(Debug, thiserror::Error)]
#[error(
    "the model `{id}` cannot be unpacked: {path}: {source}; if the disk is not full, set ZOO_DATA to a folder that \
     may be written"
)]
pub struct Error {
    id: &'static str,
    path: String,
    source: io::Error,
}

impl Shipped {
    /// Bytes of all files together.
    pub fn size(&self) -> usize {
        self.files.iter().map(|(_, content)| content.len()).sum()
    }

    /// SHA-256 over names, lengths and contents, in hexadecimal.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, content) in self.files {
            for part in [name.as_bytes(), *content] {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether [`Shipped::unpack`] has nothing left to do, so that the folder need not be written.
    pub fn is_unpacked(&self, into: &Path) -> bool {
        let folder = self.folder(into);
        self.files.iter().all(|file| is_there(&folder, file))
    }

    fn folder(&self, into: &Path) -> PathBuf {
        into.join(self.name())
    }

    /// The name of its folder.
    fn name(&self) -> String {
        format!("{}-{}", self.id, &self.hash()[..16])
    }

    /// The folder `<id>-<hash>` under `into` with all files in it, written if it is not there. Files of another
    /// length, left by a full disk or an editor, are replaced.
    ///
    /// Whoever looks sees a whole folder or none: it is written under a temporary name and renamed, and of two
    /// programs that do so at once one wins.
    ///
    /// # Errors
    /// [`Error`] naming what could not be written.
    pub fn unpack(&self, into: &Path) -> Result<PathBuf, Error> {
        let folder = self.folder(into);
        let fault = |path: &Path| {
            let path = path.display().to_string();
            move |source| Error { id: self.id, path, source }
        };
        if folder.is_dir() {
            for (name, content) in self.files.iter().filter(|file| !is_there(&folder, file)) {
                let path = folder.join(name);
                replace(&path, content).map_err(fault(&path))?;
            }
            return Ok(folder);
        }
        let partial = into.join(format!(".{}.{}", self.name(), own()));
        let written = self.write(&partial).and_then(|()| fs::rename(&partial, &folder));
        if let Err(source) = written {
            // Nothing that is left of an attempt is worth an error of its own.
            let _ = fs::remove_dir_all(&partial);
            if !folder.is_dir() {
                return Err(fault(&folder)(source));
            }
        }
        Ok(folder)
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        self.files.iter().try_for_each(|(name, content)| fs::write(folder.join(name), content))
    }
}

/// Whether a file has its length.
fn is_there(folder: &Path, (name, content): &(&str, &[u8])) -> bool {
    fs::metadata(folder.join(name)).is_ok_and(|there| there.len() == content.len() as u64)
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = path.with_extension(format!("{}.partial", own()));
    fs::write(&partial, content)?;
    fs::rename(&partial, path)
}

/// A part of a temporary name that no other attempt has, in this process or another.
fn own() -> String {
    static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), ATTEMPTS.fetch_add(1, Ordering::Relaxed))
}
