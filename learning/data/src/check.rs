//! What is wrong with a data set, before it is trained on, and what of it can be put right.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use zoo_records::{Row, Unread, Writer};

use crate::job::Job;
use crate::output::{Output, Target};
use crate::picture::{Image, apart, parsed, said};
use crate::repair::{Files, repair};
use crate::{DataSource, Flaw, FlawKind, Record, Result};

/// How records are looked at.
#[derive(Debug, Clone, Default)]
pub struct CheckPlan {
    /// Also decode every image.
    pub decode: bool,
    /// Write the sound records here, those that can be repaired among them.
    pub repair: Option<Target>,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Checked {
    /// Records that can be learnt from.
    pub sound: usize,
    /// Of these, records with an image.
    pub with_image: usize,
    /// Of these, records that were repaired.
    pub repaired: usize,
    /// Words of all sound records.
    pub words: u64,
    /// How many flaws there are of each kind. What was repaired is none.
    pub counts: BTreeMap<FlawKind, usize>,
    /// The first ones, in the order of the files.
    pub flaws: Vec<Flaw>,
    /// What was changed, the first ones; the list beside a repaired file has all of them.
    pub changes: Vec<Change>,
}

/// What was changed in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `file:line` of the record.
    pub place: String,
    /// In words.
    pub what: String,
}

/// Flaws and changes that are listed; all are counted.
const LISTED: usize = 10_000;

/// One record, looked at.
struct Looked {
    place: String,
    record: Result<Record, (FlawKind, String)>,
    hash: [u8; 16],
    changes: Vec<String>,
    /// Where it is to be written.
    row: Option<Row>,
}

/// Looks at every record and at every image. With [`CheckPlan::repair`], writes the records that are sound or can be
/// made so; flaws are then what is wrong with those that are left out.
///
/// # Errors
/// Files that cannot be read or written. What is wrong with a record is a flaw.
pub fn check(sources: &[DataSource], plan: &CheckPlan, job: &mut Job<'_>) -> Result<Checked> {
    // The list first: what cannot be written is told before anything is read.
    let begin = |target: &Target| Ok::<_, crate::Error>((changes_of(target)?, Output::one(target)?));
    let mut out = plan.repair.as_ref().map(begin).transpose()?;
    let mut checked = Checked::default();
    let mut seen: HashMap<[u8; 16], u32> = HashMap::new();
    let mut places: Vec<(u32, u32)> = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let files = Files::of(&source.images);
        let look = |row: Unread| look(row, source, plan, &files);
        let mut rows = 0_u32;
        job.each(&source.table()?, look, |looked| {
            places.push((number as u32, rows));
            rows += 1;
            let flaw = match &looked.record {
                Err((kind, message)) => Some((*kind, message.clone())),
                Ok(_) => {
                    let this = places.len() as u32 - 1;
                    let first = *seen.entry(looked.hash).or_insert(this);
                    (first != this).then(|| {
                        let (source, row) = places[first as usize];
                        let file = sources[source as usize].records.display().to_string();
                        (FlawKind::Duplicate, format!("the same as record {} of {file}", row + 1))
                    })
                }
            };
            if let Some((kind, message)) = flaw {
                *checked.counts.entry(kind).or_default() += 1;
                if checked.flaws.len() < LISTED {
                    checked.flaws.push(Flaw { place: looked.place, kind, message });
                }
                return Ok(());
            }
            if let Ok(record) = &looked.record {
                checked.sound += 1;
                checked.with_image += usize::from(record.image.is_some());
                checked.words += u64::from(record.length().unsigned_abs());
            }
            checked.repaired += usize::from(!looked.changes.is_empty());
            for what in looked.changes {
                let change = Change { place: looked.place.clone(), what };
                if let Some((list, _)) = &mut out {
                    let line = serde_json::to_vec(&change);
                    list.write_json(&line.map_err(|error| crate::Error::Internal(error.to_string()))?)?;
                }
                if checked.changes.len() < LISTED {
                    checked.changes.push(change);
                }
            }
            match (&mut out, &looked.row) {
                (Some((_, out)), Some(row)) => out.write(row),
                _ => Ok(()),
            }
        })?;
        if rows == 0 {
            return Err(crate::Error::empty(&source.records));
        }
    }
    if let Some((list, out)) = out {
        out.finish()?;
        list.finish()?;
    }
    Ok(checked)
}

fn changes_of(target: &Target) -> Result<Writer> {
    Ok(Writer::create(&changes(&target.path), target.replace)?)
}

/// The file that lists what was changed in those of `path`.
pub fn changes(path: &Path) -> PathBuf {
    path.with_extension("changes.jsonl")
}

fn look(row: Unread, source: &DataSource, plan: &CheckPlan, files: &Files) -> Looked {
    let place = row.place().to_string();
    let (record, inside) = match said(&row) {
        Ok(said) => (Record::parse(&said.text), said.inside),
        Err(flaw) => (Err(flaw), None),
    };
    let mut looked = Looked { place, record, hash: [0; 16], changes: Vec::new(), row: None };
    if plan.repair.is_some() {
        match parsed(row) {
            Ok(mut row) => {
                looked.changes = repair(&mut row, files);
                if !looked.changes.is_empty() {
                    let mut said = row.clone();
                    apart(&mut said);
                    looked.record = Record::parse(said.json().as_bytes());
                }
                looked.row = Some(row);
            }
            Err(flaw) => looked.record = Err(flaw),
        }
    }
    let image = match &looked.record {
        Ok(record) => {
            let content = format!("{:?}\n{:?}", record.image, record.conversation);
            looked.hash.copy_from_slice(&Sha256::digest(content.as_bytes())[..16]);
            Image::of(record, inside, &source.images)
        }
        Err(_) => None,
    };
    if let Some(image) = image {
        if let Image::File(path) = &image
            && let Some(message) = missing(path)
        {
            looked.record = Err((FlawKind::MissingImage, message));
        } else if plan.decode
            && let Err(message) = image.open()
        {
            looked.record = Err((FlawKind::BadImage, message));
        }
    }
    looked
}

/// What to say of an image that is not there; nothing where it is.
fn missing(path: &Path) -> Option<String> {
    if path.is_file() {
        return None;
    }
    let near = like(path).map_or_else(String::new, |near| {
        format!("; there is {}, which other systems take for the same", near.display())
    });
    Some(format!("there is no image {}{near}", path.display()))
}

/// A file beside it whose name differs in the case of letters alone.
fn like(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let entries = std::fs::read_dir(path.parent()?).ok()?;
    let found = entries.flatten().find(|e| e.file_name().to_string_lossy().to_lowercase() == name);
    found.map(|entry| entry.path())
}
