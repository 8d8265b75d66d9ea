//! One blob: from the network, through a partial file that survives interruptions, to its place.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::hash::Hasher;
use crate::remote::{Address, Metadata, Remote};
use crate::retry::{Fault, retry};
use crate::{Error, Progress, Result, cache};

/// Left free on the disk.
const RESERVE: u64 = 16 << 20;

/// What a finished file must be.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    /// sha256, lower-case hex.
    pub(crate) sha256: &'a str,
    /// Who says so, for messages.
    pub(crate) says: &'static str,
}

/// A blob to be downloaded; the caller holds its lock.
pub(crate) struct Download<'a> {
    pub(crate) remote: &'a Remote<'a>,
    pub(crate) address: Address<'a>,
    pub(crate) meta: &'a Metadata,
    pub(crate) expected: Option<Expected<'a>>,
    pub(crate) backoff: Duration,
    pub(crate) progress: &'a dyn Progress,
}

impl Download<'_> {
    /// Downloads to `blob`, which appears only when complete and verified.
    pub(crate) fn run(&self, blob: &Path) -> Result<()> {
        let mut path = blob.as_os_str().to_owned();
        path.push(".incomplete");
        let mut part = PartialFile::open(PathBuf::from(path))?;
        if part.len > self.meta.size {
            part.restart()?;
        }
        part.check_space(self.meta.size - part.len)?;
        let resumed = part.len > 0;
        self.report(&part);
        self.fill(&mut part)?;
        let mut verdict = self.verify(&part);
        if resumed && verdict.is_err() {
            // Another tool may have left holes in it: only a file that is all ours condemns its source.
            self.progress.note("the interrupted download that was continued is damaged; starting anew");
            part.restart()?;
            self.fill(&mut part)?;
            verdict = self.verify(&part);
        }
        match verdict {
            Ok(()) => part.finish(blob),
            Err(error) => {
                part.remove()?;
                Err(error)
            }
        }
    }

    fn fill(&self, part: &mut PartialFile) -> Result<()> {
        retry(self.backoff, self.progress, || {
            let before = part.len;
            self.pump(part).map_err(|fault| match fault {
                Fault::Passing { error, wait, progressed } => {
                    Fault::Passing { error, wait, progressed: progressed || part.len > before }
                }
                fault => fault,
            })
        })
    }

    /// One connection's worth of bytes.
    fn pump(&self, part: &mut PartialFile) -> Result<(), Fault> {
        let size = self.meta.size;
        if part.len == size {
            return Ok(());
        }
        let incoming = self.remote.open(self.address, self.meta, part.len);
        if let Err(Fault::Passing { error: Error::Status { status: 416, .. }, .. }) = &incoming {
            part.restart()?;
        }
        let mut incoming = incoming?;
        if incoming.start != part.len {
            if incoming.start != 0 {
                return Err(self.broken(std::io::Error::other("it sends another range than asked for")));
            }
            // The server does not do ranges and sends all of it.
            part.restart()?;
        }
        let mut buffer = vec![0; 1 << 16];
        while part.len < size {
            if self.progress.cancelled() {
                return Err(Error::Cancelled.into());
            }
            let n = match incoming.body.read(&mut buffer) {
                Ok(0) => {
                    let short = format!("the connection ended after {} of {size} bytes", part.len);
                    return Err(self.broken(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, short)));
                }
                Ok(n) => n,
                Err(e) => return Err(self.broken(e)),
            };
            if part.len + n as u64 > size {
                return Err(Error::NotAHub {
                    url: self.name(),
                    why: format!("it sends more than the {size} bytes that it announced"),
                }
                .into());
            }
            part.append(&buffer[..n])?;
            self.report(part);
        }
        Ok(())
    }

    fn verify(&self, part: &PartialFile) -> Result<()> {
        let Some(Expected { sha256, says }) = self.expected else { return Ok(()) };
        let found = part.hasher.clone().hex();
        if found == sha256 {
            return Ok(());
        }
        Err(Error::Hash {
            what: self.name(),
            source_of_expected: says,
            expected: sha256.to_owned(),
            found,
            removed: true,
        })
    }

    fn report(&self, part: &PartialFile) {
        self.progress.bytes(self.address.file, part.len, self.meta.size);
    }

    fn broken(&self, source: std::io::Error) -> Fault {
        Fault::network(&self.name(), &ureq::Error::Io(source), true)
    }

    fn name(&self) -> String {
        format!("`{}` of {}", self.address.file, self.address.repo)
    }
}

/// A partial file, with the hash of what it holds.
struct PartialFile {
    path: PathBuf,
    file: File,
    len: u64,
    hasher: Hasher,
}

impl PartialFile {
    fn open(path: PathBuf) -> Result<Self> {
        cache::make_parent(&path)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        let mut hasher = Hasher::default();
        let len = hasher.absorb(&mut file).map_err(Error::io(&path))?;
        Ok(Self { path, file, len, hasher })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io(&self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(Error::io(&self.path))?;
        self.len = 0;
        self.hasher = Hasher::default();
        Ok(())
    }

    fn check_space(&self, need: u64) -> Result<()> {
        let folder = self.path.parent().unwrap_or(&self.path).to_path_buf();
        match fs4::available_space(&folder) {
            Ok(have) if have < need.saturating_add(RESERVE) => Err(Error::Space { folder, need, have }),
            // A file system that cannot tell is not asked again: writing will.
            _ => Ok(()),
        }
    }

    fn finish(self, blob: &Path) -> Result<()> {
        self.file.sync_all().map_err(Error::io(&self.path))?;
        fs::rename(&self.path, blob).map_err(Error::io(blob))
    }

    fn remove(self) -> Result<()> {
        drop(self.file);
        fs::remove_file(&self.path).map_err(Error::io(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_before_writing() {
        let folder = tempfile::tempdir().unwrap();
        let part = PartialFile::open(folder.path().join("x.incomplete")).unwrap();
        assert!(part.check_space(1).is_ok());
        let error = part.check_space(u64::MAX).unwrap_err();
        assert!(matches!(error, Error::Space { need: u64::MAX, .. }), "{error}");
        assert!(error.to_string().contains("HF_HUB_CACHE"), "{error}");
    }
}
