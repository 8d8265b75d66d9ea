//! Folders and object stores, by one name: `photos/`, `s3://bucket/prefix`, `gs://…`, `az://…`, `https://host/file.tar`.
//!
//! Calls block; a store is waited for on a thread of its own. Answers of overloaded stores (429, 500, 503, a connection
//! that breaks) are tried again with growing pauses before they become errors. Secrets come from the environment that the
//! stores' own tools read (`AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY`, …).

mod connect;
mod here;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion};
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

pub use connect::{Stores, remote};
use here::{keep_here, write_here};

use crate::error::{Error, Result};

/// Where files of a folder are made before they get their names.
const PARTIAL: &str = ".partial";

/// A file of a store as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its full name for people: a path, or an address.
    pub address: String,
    /// Below the store.
    pub path: Path,
    /// Bytes.
    pub size: u64,
    /// What tells this version of it from others: the store's tag, or the time of its last change.
    pub version: String,
}

/// One prefix of one store.
#[derive(Clone)]
pub struct Store {
    object: Arc<dyn ObjectStore>,
    runtime: Arc<Runtime>,
    /// What stands before the paths in addresses.
    shown: String,
    prefix: Path,
    /// The folder, if it is one of this machine.
    local: Option<PathBuf>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.address("")).finish()
    }
}

impl Store {
    /// The folder here that it is, if it is one.
    pub fn folder(&self) -> Option<&FilePath> {
        self.local.as_deref()
    }

    /// The full name of a file, for people.
    pub fn address(&self, name: &str) -> String {
        let (prefix, slash) = (self.prefix.as_ref(), if name.is_empty() { "" } else { "/" });
        match &self.local {
            Some(_) => format!("{}{slash}{name}", self.shown),
            None => format!("{}/{prefix}{slash}{name}", self.shown),
        }
    }

    fn path(&self, name: &str) -> Path {
        name.split('/')
            .filter(|part| !part.is_empty())
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// Every file below the prefix, sorted by path.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn list(&self) -> Result<Vec<Entry>> {
        let address = self.address("");
        let listed = self.runtime.block_on(self.object.list(Some(&self.prefix)).try_collect::<Vec<_>>());
        let mut entries: Vec<Entry> =
            listed.map_err(Error::store(&address))?.into_iter().map(|meta| self.entry(meta)).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// The one file that the store's prefix is, if there is one.
    ///
    /// # Errors
    /// [`Error::Store`], but for a file that is not there.
    pub fn itself(&self) -> Result<Option<Entry>> {
        match self.runtime.block_on(self.object.head(&self.prefix)) {
            Ok(meta) => Ok(Some(self.entry(meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::store(self.address(""))(error)),
        }
    }

    fn entry(&self, meta: object_store::ObjectMeta) -> Entry {
        let below =
            meta.location.prefix_match(&self.prefix).map(|parts| parts.map(|p| p.as_ref().to_owned()));
        let below = below.map(|parts| parts.collect::<Vec<_>>().join("/")).unwrap_or_default();
        let changed = meta.last_modified.timestamp_micros().to_string();
        Entry {
            address: self.address(&below),
            size: meta.size,
            // A local tag has the number of the file in it, which is another on every machine.
            version: if self.local.is_some() { changed } else { meta.e_tag.unwrap_or(changed) },
            path: meta.location,
        }
    }

    /// Gives `each` the contents of listed files in their order, several of which are asked for ahead.
    pub fn read_all(&self, entries: &[Entry], ahead: usize, mut each: impl FnMut(usize, Result<Vec<u8>>)) {
        use futures::StreamExt as _;
        let reads = entries.iter().enumerate().map(|(index, entry)| async move {
            let bytes = async { self.object.get(&entry.path).await?.bytes().await }.await;
            (index, bytes.map(Vec::from).map_err(Error::store(&entry.address)))
        });
        self.runtime.block_on(futures::stream::iter(reads).buffered(ahead.max(1)).for_each(
            |(index, bytes)| {
                each(index, bytes);
                std::future::ready(())
            },
        ));
    }

    /// The contents of a file and its version, if it is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn get(&self, name: &str) -> Result<Option<(Vec<u8>, UpdateVersion)>> {
        let path = self.path(name);
        let read = async {
            let found = self.object.get(&path).await?;
            let version =
                UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((found.bytes().await?.into(), version))
        };
        match self.runtime.block_on(read) {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::store(self.address(name))(error)),
        }
    }

    /// How many bytes a file has, if it is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn size(&self, name: &str) -> Result<Option<u64>> {
        match self.runtime.block_on(self.object.head(&self.path(name))) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::store(self.address(name))(error)),
        }
    }

    /// Writes a file as a whole: others see what was there, or all of it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.put_as(name, bytes, PutMode::Overwrite).map(drop)
    }

    /// Writes a file that is not there, and says whether it was not.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool> {
        self.put_as(name, bytes, PutMode::Create)
    }

    /// Writes a file that is still as it was read, and says whether it was. A folder of this machine cannot be asked
    /// so; there whoever takes the old file away first may write.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn replace(&self, name: &str, bytes: Vec<u8>, read: UpdateVersion) -> Result<bool> {
        if self.local.is_none() {
            return self.put_as(name, bytes, PutMode::Update(read));
        }
        let (from, to) = (self.path(name), self.path(&format!("{name}.old-{}", std::process::id())));
        match self.runtime.block_on(self.object.rename(&from, &to)) {
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            other => other.map_err(Error::store(self.address(name)))?,
        }
        self.remove(&format!("{name}.old-{}", std::process::id()))?;
        self.create(name, bytes)
    }

    fn put_as(&self, name: &str, bytes: Vec<u8>, mode: PutMode) -> Result<bool> {
        if let Some(folder) = &self.local {
            let written = write_here(folder, name, &bytes, matches!(mode, PutMode::Create));
            return written.map_err(Error::io(self.address(name)));
        }
        let (path, payload) = (self.path(name), PutPayload::from(bytes));
        match self.runtime.block_on(self.object.put_opts(&path, payload, mode.into())) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(false)
            }
            Err(error) => Err(Error::store(self.address(name))(error)),
        }
    }

    /// Where files that are to be put here are best made ([`zoo_records::temporary`]).
    pub fn scratch(&self) -> PathBuf {
        self.local.as_ref().map_or_else(std::env::temp_dir, |folder| folder.join(PARTIAL))
    }

    /// Takes away what workers that died left in [`Store::scratch`]: what nobody holds ([`zoo_records::temporary`]).
    pub fn tidy(&self) {
        let Some(scratch) = self.local.as_ref().map(|folder| folder.join(PARTIAL)) else { return };
        zoo_records::tidy(&scratch);
        // Stays while anything is in it.
        let _ = std::fs::remove_dir(&scratch);
    }

    /// Puts a file that was made in [`Store::scratch`] under its name, whatever its length, as [`Store::put`] does.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Io`] where the file cannot be read.
    pub fn put_file(&self, name: &str, file: NamedTempFile) -> Result<()> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let address = self.address(name);
        if let Some(folder) = &self.local {
            return keep_here(file, &folder.join(name), false).map(drop).map_err(Error::io(address));
        }
        let path = self.path(name);
        let copy = async {
            let mut from = tokio::fs::File::open(file.path()).await?;
            let mut out = object_store::buffered::BufWriter::new(Arc::clone(&self.object), path);
            let mut buffer = vec![0; 1 << 20];
            loop {
                match from.read(&mut buffer).await? {
                    0 => return out.shutdown().await,
                    n => out.write_all(&buffer[..n]).await?,
                }
            }
        };
        self.runtime.block_on(copy).map_err(Error::io(address))
    }

    /// Copies a listed file into a file here.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Io`] where there is no room here.
    pub fn copy_to(&self, entry: &Entry, to: &mut std::fs::File) -> Result<()> {
        use futures::StreamExt as _;
        use std::io::Write as _;
        let copy = async {
            let found = self.object.get(&entry.path).await.map_err(Error::store(&entry.address))?;
            let mut stream = found.into_stream();
            while let Some(bytes) = stream.next().await {
                let bytes = bytes.map_err(Error::store(&entry.address))?;
                to.write_all(&bytes).map_err(Error::io(&entry.address))?;
            }
            Ok(())
        };
        self.runtime.block_on(copy)
    }

    /// Takes a file away; that it is not there is no error.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remove(&self, name: &str) -> Result<()> {
        match self.runtime.block_on(self.object.delete(&self.path(name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::store(self.address(name))(error)),
        }
    }
}
