//! Brings the pictures of a shard near: pictures of a store into one file here, an archive as a table with rows.

use std::fs::File;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use zoo_pipeline::find::{Contents, Input};
use zoo_pipeline::read::{Pictures, ReadError};
use zoo_preprocess::{DecodeOptions, Decoded, decode, open};
use zoo_records::{Options, Table};

use crate::error::{Error, Result};
use crate::plan::{Loose, Parts, Plan, Shard};
use crate::store::{Entry, Store};

/// What is known of a row before its picture is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line {
    /// The picture's name.
    pub key: String,
    /// Values of the columns that are kept.
    pub kept: Vec<Option<String>>,
}

/// Which columns of tables and archives mean what.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// The picture; the first of the usual names if absent.
    pub picture: Option<String>,
    /// What names a row; the stem in an archive, the number of the row in a table, if absent.
    pub key: Option<String>,
    /// Written beside the numbers, as text.
    pub kept: Vec<String>,
}

/// Names under which tables and archives have their pictures.
const USUAL: [&str; 12] =
    ["image", "jpg", "jpeg", "png", "webp", "img", "picture", "image_bytes", "bytes", "gif", "bmp", "tiff"];

/// Files of a store that are asked for ahead.
const AHEAD: usize = 32;

/// A shard whose pictures are near.
pub struct Fetched {
    /// One for each row.
    pub inputs: Vec<Input>,
    /// One for each row.
    pub lines: Vec<Line>,
    held: Held,
}

enum Held {
    /// Files of this machine.
    Files,
    /// Copies in one file: where each begins and ends, or why there is none.
    Spool { file: Mutex<File>, parts: Vec<Result<(u64, usize), String>> },
}

impl Columns {
    /// Whether shards can have these columns, as far as that is known before one is opened.
    ///
    /// # Errors
    /// [`Error::Request`]: loose pictures have none.
    pub fn fit(&self, plan: &Plan) -> Result<()> {
        let loose = plan.shards.iter().find(|shard| matches!(shard.parts, Parts::Pictures(..)));
        match (loose, self.kept.first()) {
            (Some(shard), Some(name)) => Err(Error::Request(format!(
                "--columns {name}: loose pictures ({}) have no columns; tables and archives have",
                shard.name
            ))),
            _ => Ok(()),
        }
    }
}

/// Fetches a shard; long where a store is far away.
///
/// # Errors
/// What concerns all of it: an archive that cannot be read, a store that does not answer, a disk that is full here.
pub fn fetch(shard: &Shard, columns: &Columns) -> Result<Fetched> {
    match &shard.parts {
        Parts::Pictures(store, pictures) => pictures_of(store, pictures),
        Parts::Archive(store, entry) => archive(store, entry, columns),
    }
}

/// The inputs, whose paths are how they are called in messages, and whose names are their numbers.
fn inputs(names: impl Iterator<Item = String>) -> Vec<Input> {
    let input = |(index, name): (usize, String)| Input {
        path: name.into(),
        name: PathBuf::from(index.to_string()),
        contents: Contents::Image,
    };
    names.enumerate().map(input).collect()
}

fn pictures_of(store: &Store, pictures: &[Loose]) -> Result<Fetched> {
    let lines = pictures.iter().map(|one| Line { key: one.key.clone(), kept: Vec::new() }).collect();
    let inputs = inputs(pictures.iter().map(|one| one.entry.address.clone()));
    if store.folder().is_some() {
        return Ok(Fetched { inputs, lines, held: Held::Files });
    }
    let mut file = tempfile::tempfile().map_err(Error::io("a temporary file"))?;
    let entries: Vec<Entry> = pictures.iter().map(|one| one.entry.clone()).collect();
    let (mut parts, mut end, mut full) = (Vec::new(), 0, None);
    store.read_all(&entries, AHEAD, |_, bytes| match bytes {
        Ok(bytes) => {
            if let Err(error) = file.write_all(&bytes) {
                full.get_or_insert(error);
            }
            parts.push(Ok((end, bytes.len())));
            end += bytes.len() as u64;
        }
        Err(error) => parts.push(Err(error)),
    });
    if let Some(error) = full {
        return Err(Error::io("a temporary file")(error));
    }
    // One picture that is gone is a row; a store that gives none is down, and must not become rows of errors.
    if let Some(position) = parts.iter().position(|part| matches!(part, Err(error) if !is_of_one(error))) {
        return Err(parts.swap_remove(position).err().unwrap_or(Error::Internal("an error that is none")));
    }
    let parts = parts.into_iter().map(|part| part.map_err(|error| error.to_string())).collect();
    Ok(Fetched { inputs, lines, held: Held::Spool { file: Mutex::new(file), parts } })
}

/// Whether an answer of a store is about one file.
fn is_of_one(error: &Error) -> bool {
    use object_store::Error as Answer;
    let Error::Store { source, .. } = error else { return false };
    matches!(source, Answer::NotFound { .. } | Answer::InvalidPath { .. } | Answer::PermissionDenied { .. })
}

/// The pictures of an archive, in one pass: its rows may stand in any form, packed or not.
fn archive(store: &Store, entry: &Entry, columns: &Columns) -> Result<Fetched> {
    let (path, _copy) = match store.folder() {
        Some(path) => (path.to_path_buf(), None),
        None => {
            let name = entry.address.rsplit('/').next().unwrap_or_default();
            let suffix = name.split_once('.').map_or_else(String::new, |(_, suffix)| format!(".{suffix}"));
            let copy = zoo_records::temporary_as(&std::env::temp_dir(), &suffix);
            let mut copy = copy.map_err(Error::io("a temporary file"))?;
            store.copy_to(entry, copy.as_file_mut())?;
            (copy.path().to_path_buf(), Some(copy))
        }
    };
    let mut file = BufWriter::new(tempfile::tempfile().map_err(Error::io("a temporary file"))?);
    let (mut picture, mut lines, mut parts, mut end) = (columns.picture.clone(), Vec::new(), Vec::new(), 0);
    let table = Table::open(&[path.as_path()], Options::default())?;
    for (index, row) in table.rows().enumerate() {
        let mut line = Line { key: index.to_string(), kept: vec![None; columns.kept.len()] };
        let part = row.and_then(|row| {
            if let Some(key) = row.maybe_text(columns.key.as_deref().unwrap_or("__key__"))? {
                line.key = key;
            }
            for (kept, name) in line.kept.iter_mut().zip(&columns.kept) {
                *kept = row.maybe_text(name)?;
            }
            if picture.is_none() {
                picture = USUAL.iter().find(|name| row.get(name).is_some()).map(|name| (*name).to_owned());
            }
            row.picture(picture.as_deref().unwrap_or("image"))?.read()
        });
        lines.push(line);
        parts.push(match part {
            Ok(bytes) => {
                file.write_all(&bytes).map_err(Error::io("a temporary file"))?;
                end += bytes.len() as u64;
                Ok((end - bytes.len() as u64, bytes.len()))
            }
            // What is wrong with all of it is told of the shard; the rest is told of the row.
            Err(error) if is_of_file(&error, &path) => return Err(called(&error, &path, entry)),
            Err(error) => Err(called(&error, &path, entry).to_string()),
        });
    }
    if let (Some(Err(first)), true) = (parts.first(), parts.iter().all(Result::is_err)) {
        let what = format!("no row has a picture; name its column with --image (the first row: {first})");
        return Err(Error::Address { address: entry.address.clone(), what });
    }
    let file = file.into_inner().map_err(|error| Error::io("a temporary file")(error.into_error()))?;
    let inputs = inputs(lines.iter().map(|line| format!("{}, {}", entry.address, line.key)));
    Ok(Fetched { inputs, lines, held: Held::Spool { file: Mutex::new(file), parts } })
}

/// Whether nothing more can be read of the table at `path`.
fn is_of_file(error: &zoo_records::Error, path: &Path) -> bool {
    use zoo_records::Error as Wrong;
    match error {
        Wrong::File { .. } => true,
        Wrong::Io { path: wrong, .. } => wrong == path,
        _ => false,
    }
}

/// The error, with the archive called as its user calls it: its copy has another name on every run.
fn called(error: &zoo_records::Error, path: &Path, entry: &Entry) -> Error {
    let said = error.to_string().replace(&*path.to_string_lossy(), &entry.address);
    let what =
        said.strip_prefix(&entry.address).unwrap_or(&said).trim_start_matches([':', ',', ' ']).to_owned();
    Error::Address { address: entry.address.clone(), what }
}

impl Pictures for Fetched {
    fn open(&self, input: &Input, options: &DecodeOptions) -> Result<Decoded, ReadError> {
        let name = zoo_core::path_text(&input.path);
        let number = input.name.to_string_lossy().parse::<usize>().unwrap_or(usize::MAX);
        let gone = |what: String| ReadError::Source { name: name.clone().into_owned(), what };
        let bytes = match &self.held {
            Held::Files => return Ok(open(&input.path, options)?),
            Held::Spool { file, parts } => {
                let (begin, length) = match parts.get(number) {
                    Some(Ok(part)) => *part,
                    Some(Err(what)) => return Err(gone(what.clone())),
                    None => return Err(gone("it was not fetched".into())),
                };
                let mut bytes = vec![0; length];
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let read = file.seek(SeekFrom::Start(begin)).and_then(|_| file.read_exact(&mut bytes));
                read.map_err(|error| gone(error.to_string()))?;
                bytes
            }
        };
        Ok(decode(&bytes, &name, options)?)
    }
}
