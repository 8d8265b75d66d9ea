//! One table as many files of equal length, written by one process or by several.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Replace, Writer, folder, temporary, usual};
use crate::{Error, Result, Row};

/// How rows are cut into files, and which of these are written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharding {
    /// Rows of a file.
    pub rows: u64,
    /// Of every `of` files, the one that is written here, from 0.
    pub part: u64,
    /// Processes that share the work.
    pub of: u64,
}

impl Sharding {
    /// Files of so many rows, all of them written here.
    pub fn whole(rows: u64) -> Self {
        Self { rows, part: 0, of: 1 }
    }

    fn is_mine(&self, number: u64) -> bool {
        number % self.of.max(1) == self.part
    }
}

/// Writes `stem-00000.ext`, `stem-00001.ext`, …, of so many rows each. Those that are there already are complete, and
/// are skipped: so a job that was cut off goes on where it was. `stem.job` says of which job they are: another one may
/// not go on with them.
pub struct Shards {
    path: PathBuf,
    sharding: Sharding,
    number: u64,
    left: u64,
    state: State,
}

/// What is known of the file that comes next.
enum State {
    Unknown,
    /// It is there, or somebody else's.
    Passed,
    Writing(Box<Writer>),
}

impl Shards {
    /// Begins files beside `path`, or goes on with them. `job` tells this job from all others that could have the same
    /// name.
    ///
    /// # Errors
    /// As [`Writer::create`]; files of another job.
    pub fn create(path: &Path, sharding: Sharding, job: &str) -> Result<Self> {
        let sharding = Sharding { rows: sharding.rows.max(1), of: sharding.of.max(1), ..sharding };
        Writer::create(&Self::name(path, 0), Replace::Always).map(drop)?;
        of_job(path, sharding, job)?;
        Ok(Self { path: path.to_owned(), sharding, number: 0, left: sharding.rows, state: State::Unknown })
    }

    /// The name of a file.
    pub fn name(path: &Path, number: u64) -> PathBuf {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!("{stem}-{number:05}.{extension}"))
    }

    /// Tells which rows, counted from 0 and asked for in order, are still to be written here: for jobs that write a row
    /// for each that they read.
    pub fn missing(&self) -> impl FnMut(u64) -> bool + Send + use<> {
        let (path, sharding) = (self.path.clone(), self.sharding);
        let mut last = None;
        move |row| {
            let number = row / sharding.rows;
            match last {
                Some((known, missing)) if known == number => missing,
                _ => {
                    let missing = sharding.is_mine(number) && !Self::name(&path, number).exists();
                    last = Some((number, missing));
                    missing
                }
            }
        }
    }

    /// Appends a row, or counts one of a file that is passed over.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn write(&mut self, row: &Row) -> Result<()> {
        if let State::Unknown = self.state {
            let name = Self::name(&self.path, self.number);
            self.state = match self.sharding.is_mine(self.number) && !name.exists() {
                true => State::Writing(Box::new(Writer::create(&name, Replace::Never)?)),
                false => State::Passed,
            };
        }
        if let State::Writing(writer) = &mut self.state {
            writer.write(row)?;
        }
        self.count()
    }

    /// Counts a row that [`Shards::missing`] does not ask for.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn count(&mut self) -> Result<()> {
        self.left -= 1;
        if self.left == 0 {
            self.complete()?;
            self.number += 1;
            self.left = self.sharding.rows;
        }
        Ok(())
    }

    /// Completes the last file.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn finish(mut self) -> Result<()> {
        self.complete()
    }

    fn complete(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Unknown) {
            State::Writing(writer) => writer.finish(),
            State::Unknown | State::Passed => Ok(()),
        }
    }
}

/// Notes of which job the files beside `path` are, or holds this one against the note.
fn of_job(path: &Path, sharding: Sharding, job: &str) -> Result<()> {
    let note = path.with_extension("job");
    let text = format!("{}\n", json!({ "form": 1, "rows": sharding.rows, "job": job }));
    let io = |error| Error::io(&note, "cannot write")(error);
    let advice = "choose another name, or remove them and this file";
    if !note.exists() {
        if (0..sharding.of).any(|number| Shards::name(path, number).exists()) {
            let message = "there are shards of this name, and nothing says of which job; choose another name, or remove them";
            return Err(Error::file(path, message));
        }
        let mut file = temporary(folder(&note)).map_err(io)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).and_then(|()| usual(&file)).map_err(io)?;
        match file.persist_noclobber(&note) {
            Ok(_) => return Ok(()),
            // Somebody who shares the work was faster.
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error.error)),
        }
    }
    let there = std::fs::read(&note).map_err(Error::io(&note, "cannot read"))?;
    if there == text.as_bytes() {
        return Ok(());
    }
    let rows =
        serde_json::from_slice::<serde_json::Value>(&there).ok().and_then(|note| note["rows"].as_u64());
    Err(match rows {
        Some(rows) if rows != sharding.rows => Error::file(
            &note,
            format!("the shards that are there have {rows} rows each; go on with --shard {rows}, {advice}"),
        ),
        _ => Error::file(
            &note,
            format!("the shards that are there are of another job, or of files that changed since; {advice}"),
        ),
    })
}
