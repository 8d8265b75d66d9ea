//! All records of a run: found once, read by place.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::index::{self, Index};
use crate::{Error, Flaw, Record, Result};

/// A file of records and the folder that their images are in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Conversations as LLaVA writes them: a JSON list, or JSONL.
    pub records: PathBuf,
    /// The folder that paths of images count from; the recipe's own where it is absent.
    #[serde(default)]
    pub images: PathBuf,
}

/// All records of a run: where each stands, how long it is, and which are sound. Texts stay in their files.
pub struct Dataset {
    sources: Vec<(DataSource, Index)>,
    /// Source and record of each sound one, in the order of the files.
    sound: Vec<(u32, u32)>,
    flaws: Vec<Flaw>,
    fingerprint: String,
}

impl Dataset {
    /// Reads the files once, and each record in them. What is wrong with a record is noted and the record left out.
    ///
    /// # Errors
    /// [`Error::Data`] for a file that is not there or holds no records, and when no record is sound.
    pub fn open(sources: &[DataSource]) -> Result<Self> {
        let mut out =
            Self { sources: Vec::new(), sound: Vec::new(), flaws: Vec::new(), fingerprint: String::new() };
        let mut hash = Sha256::new();
        for (number, source) in sources.iter().enumerate() {
            let mut index = Index::default();
            index::scan(&source.records, |place, line, bytes| {
                hash.update(bytes);
                let (length, flaw) = match Record::parse(bytes) {
                    Ok(record) => (record.length(), None),
                    Err(flaw) => (0, Some(flaw)),
                };
                match flaw {
                    None => out.sound.push((number as u32, index.len() as u32)),
                    Some((kind, message)) => {
                        out.flaws.push(Flaw { place: label(&source.records, line), kind, message });
                    }
                }
                index.push(place, line, length);
            })?;
            if index.len() == 0 {
                return Err(Error::data(&source.records, "there is no record here; each is one JSON object"));
            }
            out.sources.push((source.clone(), index));
        }
        if out.sound.is_empty() {
            let path = sources.first().map(|s| s.records.clone()).unwrap_or_default();
            let first = out.flaws.first().map(Flaw::to_string).unwrap_or_default();
            return Err(Error::data(&path, format!("no record can be learnt from; the first: {first}")));
        }
        out.fingerprint = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
        Ok(out)
    }

    /// Sound records.
    pub fn len(&self) -> usize {
        self.sound.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sound.is_empty()
    }

    /// Records that were left out, and why.
    pub fn flaws(&self) -> &[Flaw] {
        &self.flaws
    }

    /// Of the texts of all files.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Words of each sound record; negative for those without an image.
    pub fn lengths(&self) -> Vec<i32> {
        self.sound.iter().map(|&(s, r)| self.sources[s as usize].1.length(r as usize)).collect()
    }

    /// Which of the sources a sound record is of, counted from 0.
    pub fn source(&self, sample: usize) -> usize {
        self.sound[sample].0 as usize
    }

    /// Where a sound record stands: `file:line`.
    pub fn place(&self, sample: usize) -> String {
        let (s, r) = self.sound[sample];
        let (source, index) = &self.sources[s as usize];
        label(&source.records, index.line(r as usize))
    }

    /// A sound record, and the file of its image.
    ///
    /// # Errors
    /// [`Error::Data`] when the file was changed since it was opened.
    pub fn read(&self, sample: usize) -> Result<(Record, Option<PathBuf>)> {
        let (s, r) = self.sound[sample];
        let (source, index) = &self.sources[s as usize];
        let bytes = index.bytes(&source.records, r as usize)?;
        let record = Record::parse(&bytes).map_err(|(_, message)| {
            Error::data(&source.records, format!("the file changed while it was in use: {message}"))
        })?;
        let image = record.image.as_ref().map(|path| source.images.join(path));
        Ok((record, image))
    }
}

fn label(path: &Path, line: u32) -> String {
    format!("{}:{line}", path.display())
}
