//! A file in memory without reading it.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

use crate::{Error, Result};

/// A read-only mapping of a whole file.
pub(super) struct Mapped {
    path: PathBuf,
    map: Mmap,
}

impl Mapped {
    /// # Errors
    /// [`Error::File`] when the file is not there, not readable, a folder, or empty.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let fault = |message: String| Error::File { path: path.to_owned(), message };
        let file = File::open(path).map_err(|e| fault(e.to_string()))?;
        let length = file.metadata().map_err(|e| fault(e.to_string()))?.len();
        if length == 0 {
            return Err(fault("the file is empty".to_owned()));
        }
        // SAFETY: the mapping is read-only and private to this process. Like every memory-mapped reader it relies
        // on nobody truncating the file while it is open; downloads are renamed into place when complete.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| fault(e.to_string()))?;
        Ok(Self { path: path.to_owned(), map })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Lets go of what was mapped of `range`, which would count as this process's memory until the end. Whoever reads
    /// it again gets it from the file again.
    pub(super) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if range.end <= self.map.len() && !range.is_empty() {
            // SAFETY: the mapping is of a file and read-only, so dropped pages hold nothing that the file does not.
            let released = unsafe {
                self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len())
            };
            // A hint; a system that does not take it keeps the pages.
            drop(released);
        }
        #[cfg(not(unix))]
        drop(range);
    }

    /// An error about this file.
    pub(super) fn fault(&self, message: impl Into<String>) -> Error {
        Error::File { path: self.path.clone(), message: message.into() }
    }
}
