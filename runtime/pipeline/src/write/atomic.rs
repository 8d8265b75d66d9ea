//! All or nothing, and nothing in place of what is there unless somebody said so.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::WriteError;

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It stays, and writing is an error.
    Never,
    /// It is replaced.
    Always,
}

/// Whether the file at `path` could be written, before anything is computed for it: a file is made in its folder, or in
/// the one in which that would be made, and taken away.
///
/// # Errors
/// [`WriteError::There`] for a file that is there and must stay, or a folder; [`WriteError::Io`] where nothing can be
/// written.
pub fn free(path: &Path, replace: Replace) -> Result<(), WriteError> {
    let there = path.symlink_metadata().is_ok();
    if path.is_dir() || (replace == Replace::Never && there) {
        return Err(WriteError::There { paths: vec![path.to_path_buf()] });
    }
    // Of a relative path, the last one is empty and stands for this folder.
    let there = folder(path).ancestors().find(|folder| folder.symlink_metadata().is_ok());
    let nearest = there.unwrap_or(Path::new("."));
    Temporary::within(nearest).open().map(drop).map_err(|e| WriteError::io(path, e))
}

/// Writes the file at `path` through `fill`: into a temporary file in the same folder, which takes the name `path`
/// only when it is complete and on the disk. Folders that are missing are made.
///
/// # Errors
/// As [`free`], and what `fill` reports. Nothing is left behind.
pub fn file(
    path: &Path,
    replace: Replace,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), WriteError> {
    let finish = || {
        let temporary = Temporary::beside(path)?;
        let mut writer = BufWriter::new(temporary.open()?);
        fill(&mut writer)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        match replace {
            Replace::Always => fs::rename(&temporary.path, path),
            Replace::Never => publish(&temporary.path, path),
        }
    };
    finish().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => WriteError::There { paths: vec![path.to_path_buf()] },
        _ => WriteError::io(path, error),
    })
}

/// Sees to it that the name of the file at `path` is on the disk, where the system can say so.
pub(super) fn synced(path: &Path) {
    // Other systems do not open folders; a name that is lost there leaves the file as it was before.
    let _ = File::open(folder(path)).and_then(|folder| folder.sync_all());
}

/// Gives a file its name, unless something has it, in one step: two programs that write at the same time cannot both
/// succeed.
fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        // The temporary name goes with the guard.
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // File systems without links have no such step; a look before comes closest.
        Err(_) if path.symlink_metadata().is_ok() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(temporary, path),
    }
}

/// Temporary files that are there at this moment.
static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Removes the temporary files of all threads, for a program that is told to end at once.
pub fn remove_temporaries() {
    for path in LIVE.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let _ = fs::remove_file(path);
    }
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that is removed unless it was renamed.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    /// A name in the folder of `path` that nobody else uses. It is short whatever the final name is: that one may be as
    /// long as the file system allows.
    fn beside(path: &Path) -> io::Result<Self> {
        if path.file_name().is_none() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "this is no file name"));
        }
        fs::create_dir_all(folder(path))?;
        Ok(Self::within(folder(path)))
    }

    fn within(folder: &Path) -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".zoo-{}-{number}.part", std::process::id()));
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
        Self { path }
    }

    /// The file, new. What a process of the same number left behind is removed first.
    fn open(&self) -> io::Result<File> {
        let new = || OpenOptions::new().write(true).create_new(true).open(&self.path);
        match new() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_file(&self.path)?;
                new()
            }
            opened => opened,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    fn write(path: &Path, replace: Replace, text: &str) -> Result<(), WriteError> {
        file(path, replace, |w| w.write_all(text.as_bytes()))
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/out.bin");
        write(&path, Replace::Never, "first").unwrap();
        let error = file(&path, Replace::Always, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(error.unwrap_err().to_string().contains("the disk is full"));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(path.parent().unwrap()), ["out.bin"]);
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, Replace::Never, "first").unwrap();
        for error in [write(&path, Replace::Never, "second"), free(&path, Replace::Never)] {
            let error = error.unwrap_err();
            assert!(error.to_string().ends_with("there already; --overwrite replaces it"), "{error}");
            assert!(error.is_of_one_output());
        }
        assert_eq!(fs::read(&path).unwrap(), b"first");
        free(&path, Replace::Always).unwrap();
        write(&path, Replace::Always, "second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_look_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        free(&folder.path().join("new/newer/a"), Replace::Never).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = free(&folder.path().join("file/newer/a"), Replace::Never).unwrap_err();
        assert!(error.to_string().contains("file/newer/a: cannot write: "), "{error}");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_folder_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        for replace in [Replace::Never, Replace::Always] {
            assert!(free(&path, replace).unwrap_err().to_string().contains("this is a folder"));
            assert!(write(&path, replace, "x").unwrap_err().is_of_one_output());
        }
        assert_eq!(names(folder.path()), ["a"]);
    }

    /// Names as long as the file system allows.
    #[test]
    fn a_name_may_be_as_long_as_any() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n".repeat(255));
        write(&path, Replace::Never, "x").unwrap();
        let longer = write(&folder.path().join("n".repeat(300)), Replace::Never, "x").unwrap_err();
        assert!(longer.is_of_one_output(), "{longer:?}");
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn of_two_that_write_at_once_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let barrier = std::sync::Barrier::new(2);
        let results: Vec<bool> = std::thread::scope(|scope| {
            let threads = ["first", "second"].map(|text| {
                let (path, barrier) = (&path, &barrier);
                scope.spawn(move || {
                    let fill = |w: &mut BufWriter<File>| {
                        barrier.wait();
                        w.write_all(text.as_bytes())
                    };
                    file(path, Replace::Never, fill).is_ok()
                })
            });
            threads.map(|thread| thread.join().unwrap()).to_vec()
        });
        assert_eq!(results.iter().filter(|&&written| written).count(), 1);
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn who_ends_at_once_takes_the_temporary_files_along() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let ended = file(&path, Replace::Never, |w| {
            w.write_all(b"half")?;
            assert_eq!(names(folder.path()).len(), 1);
            // Those of other tests too, and a file that is written under no name is no harm to them.
            let own = |path: &PathBuf| path.starts_with(folder.path());
            let live: Vec<PathBuf> = LIVE.lock().unwrap().iter().filter(|path| own(path)).cloned().collect();
            assert_eq!(live.len(), 1);
            live.iter().try_for_each(fs::remove_file)
        });
        assert!(ended.is_err());
        assert!(names(folder.path()).is_empty());
    }
}
