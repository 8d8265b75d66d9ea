//! Writing rows: whatever has its final name is complete.

mod parquet;
mod shards;
mod tar;
mod temporary;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use shards::{Sharding, Shards};
pub use temporary::{temporary, temporary_as, tidy};

use crate::value::object;
use crate::{Error, Form, Result, Row};

/// What becomes of a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It stays, and writing is an error.
    Never,
    /// It is replaced.
    Always,
}

/// Writes one file of rows: `.json`, `.jsonl`, `.parquet` or `.tar`. Every value comes back as it was when the file is
/// read again; docs/data.md says how. Until [`Writer::finish`] there is no file of that name, and without it nothing
/// stays; what a process that is killed leaves behind goes with the next one that writes there ([`temporary`]).
pub struct Writer {
    path: PathBuf,
    replace: Replace,
    file: NamedTempFile,
    sink: Sink,
    rows: u64,
}

enum Sink {
    Json(BufWriter<File>),
    Jsonl(BufWriter<File>),
    Tar(Box<tar::Shard>),
    Parquet(Box<parquet::Spill>),
}

impl Writer {
    /// Begins a file. Folders that are missing are made.
    ///
    /// # Errors
    /// A name that tells none of the forms; a file that is there and must stay; a folder that cannot be written.
    pub fn create(path: &Path, replace: Replace) -> Result<Self> {
        let form = Form::of(path).filter(|(_, packed)| !packed).map(|(form, _)| form);
        if replace == Replace::Never && path.symlink_metadata().is_ok() || path.is_dir() {
            return Err(there(path));
        }
        let folder = folder(path);
        let io = |error| Error::io(path, "cannot write")(error);
        let file = temporary(folder).map_err(io)?;
        let writer = || file.reopen().map(|file| BufWriter::with_capacity(1 << 18, file)).map_err(io);
        let sink = match form {
            Some(Form::Json) => Sink::Json(writer()?),
            Some(Form::Jsonl) => Sink::Jsonl(writer()?),
            Some(Form::Tar) => Sink::Tar(Box::new(tar::Shard::new(writer()?))),
            Some(Form::Parquet) => Sink::Parquet(Box::new(parquet::Spill::within(folder).map_err(io)?)),
            _ => {
                let message = "rows are written as .json, .jsonl, .parquet and .tar";
                return Err(Error::file(path, message));
            }
        };
        Ok(Self { path: path.to_owned(), replace, file, sink, rows: 0 })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// The file system; a row that the form cannot hold.
    pub fn write(&mut self, row: &Row) -> Result<()> {
        let io = Error::io(&self.path, "cannot write");
        match &mut self.sink {
            Sink::Json(file) => {
                let lead = if self.rows == 0 { "[\n" } else { ",\n" };
                file.write_all(lead.as_bytes()).and_then(|()| json(file, row)).map_err(io)?;
            }
            Sink::Jsonl(file) => json(file, row).and_then(|()| file.write_all(b"\n")).map_err(io)?,
            Sink::Tar(shard) => shard.write(self.rows, row).map_err(io)?,
            Sink::Parquet(spill) => spill.write(row).map_err(io)?,
        }
        self.rows += 1;
        Ok(())
    }

    /// Appends a JSON object as it is written, which is faster than a row; only for `.json` and `.jsonl`.
    ///
    /// # Errors
    /// The file system; another form.
    pub fn write_json(&mut self, text: &[u8]) -> Result<()> {
        let io = Error::io(&self.path, "cannot write");
        let lead: &[u8] = match (&self.sink, self.rows) {
            (Sink::Json(_), 0) => b"[\n",
            (Sink::Json(_), _) => b",\n",
            _ => b"",
        };
        match &mut self.sink {
            Sink::Json(file) => file.write_all(lead).and_then(|()| file.write_all(text.trim_ascii())),
            // A line break within the object stands between its parts, where a blank does as well.
            Sink::Jsonl(file) if text.contains(&b'\n') => {
                let line: Vec<u8> = text
                    .trim_ascii()
                    .iter()
                    .map(|&b| if matches!(b, b'\n' | b'\r') { b' ' } else { b })
                    .collect();
                file.write_all(&line).and_then(|()| file.write_all(b"\n"))
            }
            Sink::Jsonl(file) => file.write_all(text.trim_ascii()).and_then(|()| file.write_all(b"\n")),
            Sink::Tar(_) | Sink::Parquet(_) => {
                return Err(Error::file(&self.path, "text of JSON goes into .json and .jsonl only"));
            }
        }
        .map_err(io)?;
        self.rows += 1;
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// The file system; a file that came into being meanwhile and must stay.
    pub fn finish(mut self) -> Result<()> {
        let io = |error| Error::io(&self.path, "cannot write")(error);
        match self.sink {
            Sink::Json(mut file) => {
                let end = if self.rows == 0 { "[]\n" } else { "\n]\n" };
                file.write_all(end.as_bytes()).and_then(|()| file.flush()).map_err(io)?;
            }
            Sink::Jsonl(mut file) => file.flush().map_err(io)?,
            Sink::Tar(shard) => shard.finish().map_err(io)?,
            Sink::Parquet(spill) => {
                spill.finish(self.file.as_file_mut()).map_err(|message| Error::file(&self.path, message))?
            }
        }
        let file = self.file;
        file.as_file().sync_all().map_err(io)?;
        usual(&file).map_err(io)?;
        match self.replace {
            Replace::Always => file.persist(&self.path).map(drop).map_err(|error| io(error.error)),
            Replace::Never => {
                file.persist_noclobber(&self.path).map(drop).map_err(|error| match error.error {
                    error if error.kind() == std::io::ErrorKind::AlreadyExists => there(&self.path),
                    error => io(error),
                })
            }
        }
    }
}

/// Writes a file of any kind under a temporary name and gives it its own, in place of what is there. Folders that are
/// missing are made.
///
/// # Errors
/// The file system.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = temporary(folder(path))?;
    file.write_all(bytes)?;
    usual(&file)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Readable by whom the folder says, as any file that is made the usual way.
#[cfg_attr(not(unix), expect(unused_variables, reason = "other systems have no such bits"))]
fn usual(file: &NamedTempFile) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn json(file: &mut BufWriter<File>, row: &Row) -> std::io::Result<()> {
    Ok(serde_json::to_writer(file, &object(row.fields()))?)
}

fn there(path: &Path) -> Error {
    let what = if path.is_dir() { "a folder" } else { "a file" };
    Error::file(path, format!("there is {what} of this name already; --overwrite replaces files"))
}
