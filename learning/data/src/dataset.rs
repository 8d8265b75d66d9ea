//! All records of a run: found once, read by place.

use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use zoo_records::{Indexed, Options, Table};

use crate::picture::{Image, said};
use crate::{Error, Flaw, Record, Result};

/// A file of records and the folder that their images are in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Conversations as LLaVA writes them: a JSON list, JSONL, or another table with the same columns, whose pictures may
    /// be inside; or a folder of such tables.
    pub records: PathBuf,
    /// The folder that paths of images count from; the recipe's own where it is absent.
    #[serde(default)]
    pub images: PathBuf,
}

impl DataSource {
    /// The records as a table.
    pub(crate) fn table(&self) -> Result<Table> {
        let options = Options { images: Some(self.images.clone()), ..Options::default() };
        Ok(Table::open(&[&self.records], options)?)
    }
}

/// All records of a run: where each stands, how long it is, and which are sound. Texts stay in their files.
pub struct Dataset {
    sources: Vec<Part>,
    /// Source and record of each sound one, in the order of the files.
    sound: Vec<(u32, u32)>,
    flaws: Vec<Flaw>,
    fingerprint: String,
}

/// A source, and its records.
struct Part {
    source: DataSource,
    rows: Indexed,
    lengths: Vec<i32>,
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
            let mut lengths = Vec::new();
            let rows = source.table()?.index_each(|row| {
                let record = said(row).and_then(|said| {
                    hash.update(&said.text);
                    Record::parse(&said.text)
                });
                match &record {
                    Ok(_) => out.sound.push((number as u32, lengths.len() as u32)),
                    Err((kind, message)) => {
                        let place = row.place().to_string();
                        out.flaws.push(Flaw { place, kind: *kind, message: message.clone() });
                    }
                }
                lengths.push(record.map_or(0, |record| record.length()));
            })?;
            if rows.is_empty() {
                return Err(Error::empty(&source.records));
            }
            out.sources.push(Part { source: source.clone(), rows, lengths });
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
        self.sound.iter().map(|&(s, r)| self.sources[s as usize].lengths[r as usize]).collect()
    }

    /// Which of the sources a sound record is of, counted from 0.
    pub fn source(&self, sample: usize) -> usize {
        self.sound[sample].0 as usize
    }

    /// Where a sound record stands: `file:line`.
    pub fn place(&self, sample: usize) -> String {
        let (s, r) = self.sound[sample];
        let part = &self.sources[s as usize];
        part.rows.place(r as usize).map_or_else(|error| error.to_string(), |place| place.to_string())
    }

    /// A sound record, and its image.
    ///
    /// # Errors
    /// [`Error::Data`] when the file was changed since it was opened.
    pub fn read(&self, sample: usize) -> Result<(Record, Option<Image>)> {
        let (s, r) = self.sound[sample];
        let part = &self.sources[s as usize];
        let row = part.rows.unread(r as usize)?;
        let said = said(&row).and_then(|said| Ok((Record::parse(&said.text)?, said.inside)));
        let (record, inside) = said.map_err(|(_, message)| {
            Error::data(&part.source.records, format!("the file changed while it was in use: {message}"))
        })?;
        let image = Image::of(&record, inside, &part.source.images);
        Ok((record, image))
    }
}
