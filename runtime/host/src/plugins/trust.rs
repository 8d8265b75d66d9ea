//! Which files may become code: rules on owners and modes, a hash, and what was trusted before.
//!
//! A library runs with the user's rights from the moment it is opened, so everything here happens before that.
//! The rules make it impossible to run code by accident; they are no sandbox.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Manifest, PluginError, paste};

/// A library that passed the file rules, open, with its hash. Whoever loads it must load this very file.
pub(super) struct Checked {
    pub path: PathBuf,
    pub file: File,
    pub sha256: String,
}

/// A folder that is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Canonical path.
    pub path: PathBuf,
    /// Beside the executable: whoever can change it, or a folder above it, can change the program itself. Its
    /// ancestors are not checked, and what is in it needs no entry in the lock.
    pub ours: bool,
    /// Named on the command line: its plugins go before those of the same name in other folders.
    pub named: bool,
}

/// Applies the file rules to a manifest and its library, and hashes the library.
pub(super) fn check(
    folder: &Folder,
    manifest_path: &Path,
    manifest: &Manifest,
) -> Result<Checked, PluginError> {
    let asked = folder.path.join(&manifest.file);
    let path = std::fs::canonicalize(&asked).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            let manifest_path = manifest_path.to_path_buf();
            PluginError::Missing { name: manifest.name.clone(), path: asked.clone(), manifest: manifest_path }
        }
        _ => PluginError::io(&asked, "cannot find the library", e),
    })?;
    if path.parent() != Some(&*folder.path) {
        let why = format!("it leads out of the plugin folder, to {}", path.display());
        return Err(PluginError::not_safe(&asked, why));
    }
    unchangeable(folder, manifest_path)?;
    let mut file = open(&path).map_err(|e| PluginError::io(&path, "cannot open the library", e))?;
    // Metadata of the open file: what is checked is what is hashed and loaded.
    let metadata = file.metadata().map_err(|e| PluginError::io(&path, "cannot look at the library", e))?;
    if !metadata.is_file() {
        return Err(PluginError::not_safe(&path, "it is not a regular file"));
    }
    owned_by_us(&path, &metadata)?;
    let sha256 = hash(&mut file).map_err(|e| PluginError::io(&path, "cannot read the library", e))?;
    if sha256 != manifest.sha256 {
        let (name, expected) = (manifest.name.clone(), manifest.sha256.clone());
        return Err(PluginError::Hash { name, path, expected, found: sha256 });
    }
    Ok(Checked { path, file, sha256 })
}

/// Opens a library to be hashed and loaded: nobody can write to it, rename it or delete it until the handle is closed.
#[cfg(windows)]
fn open(path: &Path) -> std::io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_SHARE_READ: u32 = 1;
    std::fs::OpenOptions::new().read(true).share_mode(FILE_SHARE_READ).open(path)
}

/// Opens a library to be hashed and loaded. The loader is given the open file, or, where the system has no name for it,
/// looks whether the path still leads to it ([`same`]).
#[cfg(not(windows))]
fn open(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

/// Whether `path` leads to the file that is open, and nobody wrote to it since.
#[cfg(unix)]
pub(super) fn same(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let identity = |m: std::fs::Metadata| {
        (m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec())
    };
    Ok(identity(file.metadata()?) == identity(std::fs::metadata(path)?))
}

/// The lower-case hexadecimal SHA-256 of what is left in a file.
pub(super) fn hash(file: &mut impl Read) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => digest.update(&buffer[..n]),
        }
    }
    Ok(digest.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

fn unchangeable(folder: &Folder, manifest: &Path) -> Result<(), PluginError> {
    let ancestors = if folder.ours { 1 } else { usize::MAX };
    for path in std::iter::once(manifest).chain(folder.path.ancestors().take(ancestors)) {
        let metadata = std::fs::metadata(path).map_err(|e| PluginError::io(path, "cannot look at it", e))?;
        owned_by_us(path, &metadata)?;
    }
    Ok(())
}

/// Refuses what another user could change: owned by neither root nor us, or writable by group or others. A
/// group that carries our own user's number is our private group and fine; so is a folder for everybody whose
/// sticky bit keeps people off each other's files, such as a system's temporary folder.
#[cfg(unix)]
fn owned_by_us(path: &Path, metadata: &std::fs::Metadata) -> Result<(), PluginError> {
    use std::os::unix::fs::MetadataExt;
    const STICKY: u32 = 0o1000;
    let (us, mode) = (user(), metadata.mode());
    if metadata.uid() != 0 && metadata.uid() != us {
        let why =
            format!("{} belongs to user {}, neither to you nor to root", path.display(), metadata.uid());
        return Err(PluginError::not_safe(path, why));
    }
    let others = mode & 0o002 != 0;
    let group = mode & 0o020 != 0 && metadata.gid() != us;
    if (others || group) && !(metadata.is_dir() && mode & STICKY != 0) {
        let who = if others { "everybody" } else { "its group" };
        return Err(PluginError::not_safe(
            path,
            format!("{who} may write to it; chmod go-w {}", paste::word(path)),
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn owned_by_us(_: &Path, _: &std::fs::Metadata) -> Result<(), PluginError> {
    Ok(())
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "the C library has the only way to ask")]
fn user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// `plugins.lock`: the hashes that were trusted, by plugin name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    plugins: BTreeMap<String, String>,
}

/// The lock of one user.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    path: PathBuf,
}

impl Lock {
    /// That of the user whose data folder this is.
    pub fn of(data: &Path) -> Self {
        Self { path: data.join("plugins.lock") }
    }

    fn read(&self) -> Result<LockFile, PluginError> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|e| PluginError::Manifest { path: self.path.clone(), why: e.to_string() }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(LockFile::default()),
            Err(e) => Err(PluginError::io(&self.path, "cannot read the list of trusted plugins", e)),
        }
    }

    /// Whether another library of this name was trusted than the one of this hash.
    pub fn differs(&self, name: &str, sha256: &str) -> Result<bool, PluginError> {
        Ok(self.read()?.plugins.get(name).is_some_and(|trusted| trusted != sha256))
    }

    /// Trusts a plugin that was never seen, refuses one that has changed.
    pub fn check(&self, name: &str, library: &Checked, folder: &Folder) -> Result<(), PluginError> {
        match self.read()?.plugins.get(name) {
            Some(trusted) if *trusted == library.sha256 => Ok(()),
            Some(trusted) => Err(PluginError::Changed {
                name: name.to_owned(),
                path: library.path.clone(),
                trusted: trusted.clone(),
                found: library.sha256.clone(),
                named: folder.named,
            }),
            None => {
                tracing::info!("plugin `{name}` is trusted from now on (sha256 {})", library.sha256);
                if let Err(e) = self.trust(name, &library.sha256) {
                    tracing::warn!("plugin `{name}` will be asked about again: {e}");
                }
                Ok(())
            }
        }
    }

    /// Trusts exactly this hash.
    pub fn trust(&self, name: &str, sha256: &str) -> Result<(), PluginError> {
        let mut lock = self.read()?;
        lock.plugins.insert(name.to_owned(), sha256.to_owned());
        let fault = |e: &dyn std::fmt::Display| {
            PluginError::io(&self.path, "cannot write the list of trusted plugins", e)
        };
        let text = toml::to_string(&lock).map_err(|e| fault(&e))?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|e| fault(&e))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|e| fault(&e))?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(|e| fault(&e))?;
        file.persist(&self.path).map_err(|e| fault(&e))?;
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_exchanged_or_written_to_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lib.so");
        std::fs::write(&path, "first").unwrap();
        let file = open(&path).unwrap();
        assert!(same(&file, &path).unwrap());
        std::fs::write(folder.path().join("other"), "first").unwrap();
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        assert!(!same(&file, &path).unwrap());
        let file = open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(same(&file, &path).is_err());
    }
}
