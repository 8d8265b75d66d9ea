//! A folder that lasts as long as the process.
//!
//! A static is never dropped, so nothing removes such a folder when its process ends. The next process does: each keeps
//! a file locked that says where its folder is, and who finds one unlocked removes that folder and takes the file over.
//! What stays behind are as many folders as ever were in use at the same time. They are temporary ones and not among
//! what was built, as plugins are refused where other users could write to a folder above them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Beginning of their names.
const PREFIX: &str = "zoo-tests-";

pub struct Folder {
    path: PathBuf,
    /// Locked until it is closed.
    _word: File,
}

impl Folder {
    /// A new one; processes leave word of theirs in `words`.
    pub fn new(words: &Path) -> io::Result<Self> {
        let mut word =
            (0..).find_map(|n| unlocked(&words.join(format!("{PREFIX}{n}"))).transpose()).unwrap()?;
        let mut left = String::new();
        word.read_to_string(&mut left)?;
        remove(Path::new(&left))?;
        let path = tempfile::Builder::new().prefix(PREFIX).tempdir()?.keep();
        word.set_len(0)?;
        word.rewind()?;
        word.write_all(path.as_os_str().as_encoded_bytes())?;
        Ok(Self { path, _word: word })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The file, locked, unless another process has it locked.
fn unlocked(word: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(word)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes what another process left, if it is still there. Nothing else, should the word be no whole one.
fn remove(left: &Path) -> io::Result<()> {
    if left.file_name().is_none_or(|name| !name.as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
        return Ok(());
    }
    match fs::remove_dir_all(left) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
