//! Files that have no name of their own yet.
//!
//! Whoever writes one holds it by a lock. One that nobody holds was left behind by a process that was killed; the next
//! process that makes a file in its folder takes it away.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::NamedTempFile;

const PREFIX: &str = ".zoo-rows-";
const SUFFIX: &str = ".part";

/// A new file in `folder`, which is made if it is missing, held by a lock for as long as this process has it. The first
/// one that a process makes in a folder takes away what others left there ([`tidy`]).
///
/// Another process may tidy between the moment that a file is there and its lock, and may take the folder away while
/// nothing is in it. What is taken away so is made once more.
///
/// # Errors
/// The system's answer.
pub fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    temporary_as(folder, "")
}

/// As [`temporary`], with a name that ends in `ending`, for who tells the form of a file by its name.
///
/// # Errors
/// The system's answer.
pub fn temporary_as(folder: &Path, ending: &str) -> io::Result<NamedTempFile> {
    /// Folders that were looked through. Not for each file anew: folders of pictures hold many.
    static TIDY: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    const TRIES: usize = 100;
    let new =
        TIDY.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(folder.into());
    if new {
        tidy(folder);
    }
    let suffix = format!("{SUFFIX}{ending}");
    let make = || tempfile::Builder::new().prefix(PREFIX).suffix(&suffix).tempfile_in(folder);
    for _ in 1..TRIES {
        std::fs::create_dir_all(folder)?;
        let file = match make() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            made => made?,
        };
        match file.as_file().try_lock() {
            Err(TryLockError::WouldBlock) => continue,
            // Where files cannot be locked, none is taken away.
            Err(TryLockError::Error(_)) => return Ok(file),
            Ok(()) if file.path().try_exists()? => return Ok(file),
            Ok(()) => {}
        }
    }
    make()
}

/// Takes away those files of [`temporary`] in `folder` that nobody holds. What cannot be taken away stays.
pub fn tidy(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let ours = |name: &str| name.starts_with(PREFIX) && name.contains(SUFFIX);
    for entry in entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(ours)) {
        let Ok(file) = File::open(entry.path()) else { continue };
        // Held until it is gone, so that nobody begins to use it meanwhile.
        if file.try_lock().is_ok() {
            // Somebody else may have been faster.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_goes() {
        let folder = tempfile::tempdir().unwrap();
        let held = temporary(folder.path()).unwrap();
        for left in [".zoo-rows-aaaaaa.part", ".zoo-rows-b.part.tar", ".zoo-1-0.part", "rows.part"] {
            std::fs::write(folder.path().join(left), "half").unwrap();
        }
        tidy(folder.path());
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let mut expected =
            [".zoo-1-0.part".into(), held.path().file_name().unwrap().to_owned(), "rows.part".into()];
        expected.sort();
        assert_eq!(names, expected);
        drop(held);
        tidy(&folder.path().join("none"));
    }
}
