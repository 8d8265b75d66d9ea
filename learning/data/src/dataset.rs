//! All records of a run: found once, read by place.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use zoo_records::{Indexed, Options, Row, Table, Unread, Value};

use crate::{Error, Flaw, FlawKind, Record, Result};

/// A file of records and the folder that their images are in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Conversations as LLaVA writes them: a JSON list, JSONL, or another table with the same columns.
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
                let record = json(row).and_then(|text| {
                    hash.update(&text);
                    Record::parse(&text)
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

    /// A sound record, and the file of its image.
    ///
    /// # Errors
    /// [`Error::Data`] when the file was changed since it was opened.
    pub fn read(&self, sample: usize) -> Result<(Record, Option<PathBuf>)> {
        let (s, r) = self.sound[sample];
        let part = &self.sources[s as usize];
        let row = part.rows.unread(r as usize)?;
        let record = json(&row).and_then(|text| Record::parse(&text)).map_err(|(_, message)| {
            Error::data(&part.source.records, format!("the file changed while it was in use: {message}"))
        })?;
        let image = record.image.as_ref().map(|path| part.source.images.join(path));
        Ok((record, image))
    }
}

/// The row, or what is wrong with it: where it stands is said beside it.
pub(crate) fn parsed(row: Unread) -> Result<Row, (FlawKind, String)> {
    row.parse().map_err(|error| match error {
        zoo_records::Error::Row { message, .. } => (FlawKind::Form, message),
        other => (FlawKind::Form, other.to_string()),
    })
}

/// The text of a record, whatever table it is in.
pub(crate) fn json(row: &Unread) -> Result<Cow<'_, [u8]>, (FlawKind, String)> {
    if let Some(text) = row.json() {
        return Ok(Cow::Borrowed(text));
    }
    let row = parsed(row.clone())?;
    if matches!(row.get("image"), Some(Value::Bytes(_) | Value::Map(_))) {
        let message =
            "the picture is inside the table; `zoo data convert --pictures FOLDER` puts it into a file";
        return Err((FlawKind::Form, message.to_owned()));
    }
    Ok(Cow::Owned(row.json().into_bytes()))
}
