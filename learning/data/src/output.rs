//! Where the rows of a job go: one file, or shards of so many rows.

use std::path::{Path, PathBuf};

use zoo_records::{Form, Replace, Row, Shards, Writer};

use crate::Result;

/// Where the rows of a job go.
#[derive(Debug, Clone)]
pub struct Target {
    /// `.json`, `.jsonl`, `.parquet` or `.tar`.
    pub path: PathBuf,
    /// Whether a file that is there is replaced.
    pub replace: Replace,
    /// Rows of each shard, named `path-00000.ext`; one file where it is absent. Shards that are there are complete and
    /// stay, so that a job which was cut off goes on with the first one that is missing.
    pub shard: Option<u64>,
}

/// The file or files.
pub(crate) enum Output {
    One(Box<Writer>),
    Many(Shards),
}

impl Output {
    pub fn create(target: &Target) -> Result<Self> {
        Ok(match target.shard {
            None => Self::One(Box::new(Writer::create(&target.path, target.replace)?)),
            Some(rows) => Self::Many(Shards::create(&target.path, rows)?),
        })
    }

    /// Whether text of JSON can be written as it is.
    pub fn takes_json(target: &Target) -> bool {
        target.shard.is_none() && takes_json(&target.path)
    }

    pub fn write(&mut self, row: &Row) -> Result<()> {
        match self {
            Self::One(writer) => writer.write(row)?,
            Self::Many(shards) => shards.write(row)?,
        }
        Ok(())
    }

    pub fn write_json(&mut self, text: &[u8]) -> Result<()> {
        match self {
            Self::One(writer) => Ok(writer.write_json(text)?),
            Self::Many(_) => Err(crate::Error::Internal("text for shards".to_owned())),
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
