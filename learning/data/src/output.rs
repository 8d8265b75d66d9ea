//! Where the rows of a job go: one file, or shards of so many rows.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};
use zoo_records::{Form, Replace, Row, Sharding, Shards, Table, Writer};

use crate::{Error, Result};

/// Where the rows of a job go.
#[derive(Debug, Clone)]
pub struct Target {
    /// `.json`, `.jsonl`, `.parquet` or `.tar`.
    pub path: PathBuf,
    /// Whether a file that is there is replaced.
    pub replace: Replace,
    /// Files `path-00000.ext` of so many rows each; one file where it is absent. Those that are there are complete and
    /// stay, so that a job which was cut off goes on with the first one that is missing; several processes may write
    /// every n-th one each.
    pub shard: Option<Sharding>,
}

/// The file or files.
pub(crate) enum Output {
    One(Box<Writer>),
    Many(Box<Shards>),
}

impl Output {
    /// `job` ([`job`]) tells whose the shards are.
    pub fn create(target: &Target, job: &str) -> Result<Self> {
        Ok(match target.shard {
            None => Self::one(target)?,
            Some(sharding) => Self::Many(Box::new(Shards::create(&target.path, sharding, job)?)),
        })
    }

    /// For jobs that write no shards.
    pub fn one(target: &Target) -> Result<Self> {
        match target.shard {
            None => Ok(Self::One(Box::new(Writer::create(&target.path, target.replace)?))),
            Some(_) => Err(Error::data(&target.path, "this job writes one file and no shards")),
        }
    }

    /// Whether text of JSON can be written as it is.
    pub fn takes_json(target: &Target) -> bool {
        target.shard.is_none() && takes_json(&target.path)
    }

    /// Which rows are to be written here, asked for in order; for jobs that write a row for each that they read.
    pub fn missing(&self) -> Box<dyn FnMut(u64) -> bool + Send> {
        match self {
            Self::One(_) => Box::new(|_| true),
            Self::Many(shards) => Box::new(shards.missing()),
        }
    }

    pub fn write(&mut self, row: &Row) -> Result<()> {
        match self {
            Self::One(writer) => writer.write(row)?,
            Self::Many(shards) => shards.write(row)?,
        }
        Ok(())
    }

    /// Passes over a row that [`Output::missing`] does not ask for.
    pub fn pass(&mut self) -> Result<()> {
        match self {
            Self::One(_) => {}
            Self::Many(shards) => shards.count()?,
        }
        Ok(())
    }

    pub fn write_json(&mut self, text: &[u8]) -> Result<()> {
        match self {
            Self::One(writer) => Ok(writer.write_json(text)?),
            Self::Many(_) => Err(Error::Internal("text for shards".to_owned())),
        }
    }

    pub fn finish(self) -> Result<()> {
        match self {
            Self::One(writer) => writer.finish()?,
            Self::Many(shards) => shards.finish()?,
        }
        Ok(())
    }
}

fn takes_json(path: &Path) -> bool {
    matches!(Form::of(path), Some((Form::Json | Form::Jsonl, false)))
}

/// What tells a job from others: what it does, with which options, and with which files at which length and time.
pub(crate) fn job(what: &str, options: impl Debug, tables: &[&Table]) -> Result<String> {
    let mut state = Sha256::new();
    state.update(format!("1 {what} {options:?}"));
    for path in tables.iter().flat_map(|table| table.files()) {
        let found = path.metadata().map_err(Error::io(path, "cannot read"))?;
        let changed = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        state.update(format!("\n{} {} {changed:?}", path.display(), found.len()));
    }
    Ok(state.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
