//! The folder in which a run keeps what is not finished.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use zoo_core::path_text;

use super::super::WriteError;
use super::journal::Line;
use super::spool::{Medium, Open, Spool};

/// The folder of a run that is not finished.
pub(super) struct Work {
    pub folder: PathBuf,
    pub open: Open,
    pub journal: Box<dyn Medium>,
    /// Bytes of the journal that count.
    pub noted: u64,
    /// Held as long as this run goes on.
    pub _lock: File,
}

impl Work {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn fail(&self, source: io::Error) -> WriteError {
        WriteError::io(&self.folder, source)
    }

    pub fn spool(&self, index: usize, name: &str, shape: &[usize]) -> Result<Spool, WriteError> {
        let medium = (self.open)(&self.path(&format!("{index}.f32"))).map_err(|e| self.fail(e))?;
        Ok(Spool { name: name.to_owned(), shape: shape.to_vec(), rows: 0, medium })
    }

    pub fn note(&mut self, lines: &[Line]) -> Result<(), WriteError> {
        let text = lines.iter().map(Line::text).collect::<Result<String, _>>()?;
        self.journal.append(text.as_bytes()).map_err(|e| WriteError::io(&self.folder, e))?;
        self.noted += text.len() as u64;
        Ok(())
    }
}

/// Where what is known of a run lies until the file at `path` is whole.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

/// Held as long as the run goes on; another one is told so.
pub(super) fn lock(folder: &Path) -> Result<File, WriteError> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"));
    let lock = open.map_err(|e| WriteError::io(folder, e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(WriteError::Busy { path: folder.to_path_buf() }),
        // A file system without locks; then nobody can be kept out.
        Err(fs::TryLockError::Error(_)) => Ok(lock),
    }
}

/// Removes what a run leaves in its folder, and nothing else.
pub(super) fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(path_text).unwrap_or_default();
        let temporary = name.starts_with(".zoo-") && name.ends_with(".part");
        let ours = ["run.json", "rows.jsonl", "tensors.json"].contains(&name.as_ref());
        let ours = ours || temporary || name.ends_with(".f32");
        if ours {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
