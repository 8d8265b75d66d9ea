//! What is kept of pictures, and what is added to it.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zoo_core::path_text;

use super::IndexError;
use super::nearest::{Hit, nearest};
use crate::find::Input;
use crate::look::{Rows, Seen};
use crate::read::Item;
use crate::write::{Replace, Setting, Sink};
use crate::{Error, Failure, Metadata, WriteError};

/// Pictures after which what was added is counted, so that no more than these are lost with the machine.
const COUNTED: usize = 1024;
const HEAD: &str = "index.json";
const LOCK: &str = "lock";

/// What `index.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// 1.
    version: u32,
    /// Everything that decides the numbers.
    identity: Metadata,
    /// Numbers in a vector; 0 as long as there is none.
    width: usize,
    /// The file of the vectors.
    vectors: String,
    /// One for each row.
    pictures: Vec<Picture>,
}

/// A picture as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Picture {
    path: String,
    bytes: u64,
    /// Nanoseconds since 1970.
    changed: u64,
}

impl Picture {
    fn of(path: &Path) -> Self {
        let metadata = path.metadata().ok();
        let changed = metadata.as_ref().and_then(|m| m.modified().ok()?.duration_since(UNIX_EPOCH).ok());
        Self {
            path: path_text(path).into_owned(),
            bytes: metadata.map_or(0, |m| m.len()),
            changed: changed.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        }
    }
}

/// What has changed since an index was last written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Pictures that are to be looked at: new ones, and those that have changed.
    pub wanted: usize,
    /// Pictures that were there and have changed or gone.
    pub dropped: usize,
}

/// An index in a folder, which no other program writes to meanwhile.
#[derive(Debug)]
pub struct Index {
    folder: PathBuf,
    head: Head,
    _lock: File,
}

impl Index {
    /// Opens the index in `folder`, or begins one. `setting` is how its vectors are made; with [`Replace::Always`] what is
    /// there is thrown away.
    ///
    /// # Errors
    /// [`IndexError::Other`] for one of vectors that were made in another way; [`IndexError::Busy`];
    /// [`IndexError::Damaged`].
    pub fn open(folder: &Path, setting: &Setting, replace: Replace) -> Result<Self, IndexError> {
        let io = |source| IndexError::io(folder, source);
        fs::create_dir_all(folder).map_err(io)?;
        let lock = File::create(folder.join(LOCK)).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(IndexError::Busy { path: folder.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let fresh = Head {
            version: 1,
            identity: setting.identity().clone(),
            width: 0,
            vectors: name(0),
            pictures: Vec::new(),
        };
        let head = match replace {
            Replace::Always => {
                let old = read(folder).ok().flatten().map(|head| folder.join(head.vectors));
                // The index first: without it nobody looks for its vectors.
                for path in std::iter::once(folder.join(HEAD)).chain(old) {
                    match fs::remove_file(&path) {
                        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                            return Err(IndexError::io(path, e));
                        }
                        _ => {}
                    }
                }
                fresh
            }
            Replace::Never => match read(folder)? {
                None => fresh,
                Some(head) => {
                    let differs = setting.differs(&head.identity);
                    if !differs.is_empty() {
                        let (path, what) = (folder.to_owned(), format!("{} differs", differs.join(", ")));
                        return Err(IndexError::Other { path, what });
                    }
                    // As it is, not as it was read.
                    Head { identity: setting.identity().clone(), ..head }
                }
            },
        };
        Ok(Self { folder: folder.to_owned(), head, _lock: lock })
    }

    /// Pictures that it holds.
    pub fn len(&self) -> usize {
        self.head.pictures.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Path of a picture.
    pub fn path(&self, place: usize) -> &str {
        self.head.pictures.get(place).map_or("", |picture| &picture.path)
    }

    /// Compares what it holds with `inputs`, and forgets pictures that are none of them or have changed. What is then given
    /// looks at the others.
    ///
    /// # Errors
    /// [`IndexError::Write`] and [`IndexError::Damaged`].
    pub fn update<'a>(&'a mut self, inputs: &'a [Input]) -> Result<Adding<'a>, IndexError> {
        let now: Vec<Picture> = inputs.iter().map(|input| Picture::of(&input.path)).collect();
        let places: HashMap<&str, usize> =
            now.iter().enumerate().map(|(input, picture)| (picture.path.as_str(), input)).collect();
        let mut known = vec![false; now.len()];
        let keep: Vec<bool> = self
            .head
            .pictures
            .iter()
            .map(|picture| {
                let input = places.get(picture.path.as_str()).copied().filter(|&i| now[i] == *picture);
                input.is_some_and(|input| !std::mem::replace(&mut known[input], true))
            })
            .collect();
        // A path that was named twice is looked at once.
        for (input, picture) in now.iter().enumerate() {
            known[input] |= places.get(picture.path.as_str()) != Some(&input);
        }
        let dropped = keep.iter().filter(|kept| !**kept).count();
        if dropped > 0 {
            self.forget(&keep)?;
        }
        let wanted: Vec<bool> = known.into_iter().map(|known| !known).collect();
        let changes = Changes { wanted: wanted.iter().filter(|wanted| **wanted).count(), dropped };
        let rows = self.rows()?;
        Ok(Adding { index: self, pictures: now, wanted, changes, rows, uncounted: 0 })
    }

    /// The `most` pictures whose vectors are nearest to `question`, of length 1, the nearest first.
    ///
    /// # Errors
    /// [`IndexError::Width`]; [`IndexError::Damaged`] for a file of vectors that is too short.
    pub fn nearest(&self, question: &[f32], most: usize) -> Result<Vec<Hit>, IndexError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        if question.len() != self.head.width {
            return Err(IndexError::Width { got: question.len(), width: self.head.width });
        }
        let path = self.vectors();
        let file = File::open(&path).map_err(|source| IndexError::io(&path, source))?;
        nearest(file, self.len(), question, most).map_err(|e| damaged(&path, e))
    }

    fn vectors(&self) -> PathBuf {
        self.folder.join(&self.head.vectors)
    }

    /// The file of the vectors, at the end of those that count.
    fn rows(&self) -> Result<BufWriter<File>, IndexError> {
        let path = self.vectors();
        let io = |source| IndexError::io(&path, source);
        let length = 4 * (self.head.width * self.len()) as u64;
        let options = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = options.map_err(io)?;
        if file.metadata().map_err(io)?.len() < length {
            return Err(damaged(&path, "it has fewer vectors than the index counts"));
        }
        file.set_len(length).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        Ok(BufWriter::new(file))
    }

    /// Writes the vectors that are kept to another file, which the index names from then on.
    fn forget(&mut self, keep: &[bool]) -> Result<(), IndexError> {
        let (old, next) = (self.vectors(), later(&self.head));
        let path = self.folder.join(&next);
        let mut from = BufReader::new(File::open(&old).map_err(|source| IndexError::io(&old, source))?);
        let mut to = BufWriter::new(File::create(&path).map_err(|source| IndexError::io(&path, source))?);
        let mut row = vec![0; 4 * self.head.width];
        for kept in keep {
            from.read_exact(&mut row).map_err(|e| damaged(&old, e))?;
            if *kept {
                to.write_all(&row).map_err(|source| IndexError::io(&path, source))?;
            }
        }
        let synced = to.flush().and_then(|()| to.get_ref().sync_all());
        synced.map_err(|source| IndexError::io(&path, source))?;
        let mut kept = keep.iter();
        self.head.pictures.retain(|_| kept.next().copied().unwrap_or(false));
        self.head.vectors = next;
        self.write()?;
        // What stays behind is no part of the index any more.
        let _ = fs::remove_file(old);
        Ok(())
    }

    fn write(&self) -> Result<(), WriteError> {
        let path = self.folder.join(HEAD);
        let text = serde_json::to_vec(&self.head).map_err(|e| WriteError::io(&path, e.into()))?;
        crate::write::file(&path, Replace::Always, |writer| writer.write_all(&text))
    }
}

fn name(number: u64) -> String {
    format!("vectors-{number}.f32")
}

/// The name after that of the file that an index has.
fn later(head: &Head) -> String {
    let number = head.vectors.strip_prefix("vectors-").and_then(|rest| rest.strip_suffix(".f32"));
    name(number.and_then(|digits| digits.parse::<u64>().ok()).map_or(0, |number| number + 1))
}

fn damaged(path: &Path, what: impl ToString) -> IndexError {
    IndexError::Damaged { path: path.to_owned(), what: what.to_string() }
}

fn read(folder: &Path) -> Result<Option<Head>, IndexError> {
    let path = folder.join(HEAD);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(IndexError::io(&path, source)),
    };
    let value: Value = serde_json::from_slice(&bytes).map_err(|e| damaged(&path, e))?;
    let head: Head = serde_json::from_value(value).map_err(|e| damaged(&path, e))?;
    let plain = !head.vectors.is_empty() && !head.vectors.contains(['/', '\\']);
    match (head.version, plain) {
        (1, true) => Ok(Some(head)),
        (1, false) => Err(damaged(&path, format!("`{}` is no name of a file", head.vectors))),
        (version, _) => Err(damaged(&path, format!("version {version} is not known here"))),
    }
}

/// Keeps the vectors of pictures that are looked at, each of length 1.
pub struct Adding<'a> {
    index: &'a mut Index,
    /// One for each input.
    pictures: Vec<Picture>,
    wanted: Vec<bool>,
    changes: Changes,
    rows: BufWriter<File>,
    uncounted: usize,
}

impl Adding<'_> {
    /// What there is to do.
    pub fn changes(&self) -> Changes {
        self.changes
    }

    /// Counts what was added; a run that is stopped is to call it, too.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn finish(mut self) -> Result<(), WriteError> {
        self.count()
    }

    fn count(&mut self) -> Result<(), WriteError> {
        let synced = self.rows.flush().and_then(|()| self.rows.get_ref().sync_data());
        synced.map_err(|source| WriteError::io(self.index.vectors(), source))?;
        self.uncounted = 0;
        self.index.write()
    }

    fn add(&mut self, item: &Item, vector: &[f32]) -> Result<(), WriteError> {
        let path = self.index.vectors();
        let length =
            vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        for value in vector {
            let bytes = ((f64::from(*value) / length) as f32).to_le_bytes();
            self.rows.write_all(&bytes).map_err(|source| WriteError::io(&path, source))?;
        }
        self.index.head.width = vector.len();
        self.index.head.pictures.extend(self.pictures.get(item.input).cloned());
        self.uncounted += 1;
        if self.uncounted >= COUNTED { self.count() } else { Ok(()) }
    }
}

impl Sink for Adding<'_> {
    fn wants(&self, input: usize) -> bool {
        self.wanted.get(input).copied().unwrap_or(false)
    }

    fn put(&mut self, items: &[Item], seen: Seen) -> Result<Vec<(usize, Failure)>, WriteError> {
        let mut failures = Vec::new();
        let rows: Option<&Rows> = seen.tensors.first();
        for (place, item) in items.iter().enumerate() {
            let vector = rows.map_or(&[][..], |rows| rows.row(place));
            let width = self.index.head.width;
            // A file of pixels has several rows, and a picture is one.
            let fits = item.row.is_none() && !vector.is_empty() && (width == 0 || width == vector.len());
            match fits {
                true => self.add(item, vector)?,
                false => {
                    let why = Error::Earlier("an index takes pictures, which give one vector each".into());
                    failures.push((place, Failure::new(item.name.clone(), why)));
                }
            }
        }
        Ok(failures)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::find::find;

    fn setting(encoder: &str) -> Setting {
        // Among the numbers is one that is another when it was written and read.
        let mean: [f32; 3] = [0.481_454_67, 0.457_827_5, 0.408_210_73];
        let identity = json!({"encoder": encoder, "mean": mean}).as_object().cloned().unwrap_or_default();
        Setting::new(identity, Metadata::new())
    }

    fn item(input: usize) -> Item {
        Item { input, name: input.to_string(), row: None, size: (1, 1), notes: Vec::new() }
    }

    fn seen(vector: &[f32]) -> Seen {
        let rows = Rows { name: "embedding".into(), shape: vec![vector.len()], values: vector.to_vec() };
        Seen { tensors: vec![rows], record: Metadata::new() }
    }

    /// Looks at what is wanted of the pictures in `folder`; the vector of a picture is made of the bytes of its file.
    fn look(index: &mut Index, folder: &Path) -> Changes {
        let found = find(&[folder]);
        let mut adding = index.update(&found.inputs).unwrap();
        for (number, input) in found.inputs.iter().enumerate() {
            if adding.wants(number) {
                let byte = f32::from(*fs::read(&input.path).unwrap().last().unwrap());
                assert!(adding.put(&[item(number)], seen(&[byte, 1.0])).unwrap().is_empty());
            }
        }
        let changes = adding.changes();
        adding.finish().unwrap();
        changes
    }

    fn picture(folder: &Path, name: &str, last: u8) {
        // The first bytes of a PNG: it is told by them.
        fs::write(folder.join(name), [b"\x89PNG\r\n\x1a\n".as_slice(), &[last]].concat()).unwrap();
    }

    #[test]
    fn pictures_are_looked_at_once_and_forgotten_when_they_go() {
        let (pictures, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = pictures.path();
        picture(at, "a.png", 1);
        picture(at, "b.png", 100);
        let open = || Index::open(kept.path(), &setting("x"), Replace::Never).unwrap();
        let mut index = open();
        assert_eq!(look(&mut index, at), Changes { wanted: 2, dropped: 0 });
        assert_eq!(look(&mut index, at), Changes { wanted: 0, dropped: 0 });
        assert!(matches!(
            Index::open(kept.path(), &setting("x"), Replace::Never),
            Err(IndexError::Busy { .. })
        ));
        drop(index);
        picture(at, "c.png", 2);
        picture(at, "b.png", 1);
        fs::write(at.join("b.png"), [b"\x89PNG\r\n\x1a\n".as_slice(), &[0, 3]].concat()).unwrap();
        fs::remove_file(at.join("a.png")).unwrap();
        let mut index = open();
        assert_eq!(look(&mut index, at), Changes { wanted: 2, dropped: 2 });
        assert_eq!(index.len(), 2);
        let hits = index.nearest(&[1.0, 0.0], 5).unwrap();
        let names: Vec<_> =
            hits.iter().map(|hit| index.path(hit.place).rsplit('/').next().unwrap()).collect();
        assert_eq!(names, ["b.png", "c.png"]);
        assert!((hits[0].cosine - 3.0 / 10f32.sqrt()).abs() < 1e-6, "{hits:?}");
        assert!(matches!(index.nearest(&[1.0], 5), Err(IndexError::Width { got: 1, width: 2 })));
    }

    #[test]
    fn vectors_of_another_encoder_are_refused_and_replaced_on_demand() {
        let (pictures, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        picture(pictures.path(), "a.png", 1);
        let mut index = Index::open(kept.path(), &setting("x"), Replace::Never).unwrap();
        look(&mut index, pictures.path());
        drop(index);
        let message = Index::open(kept.path(), &setting("y"), Replace::Never).err().unwrap().to_string();
        assert!(message.contains("encoder differs") && message.contains("--rebuild"), "{message}");
        let mut index = Index::open(kept.path(), &setting("y"), Replace::Always).unwrap();
        assert_eq!(look(&mut index, pictures.path()), Changes { wanted: 1, dropped: 0 });
    }

    #[test]
    fn rows_that_nobody_counted_are_not_there_and_lost_ones_are_told() {
        let (pictures, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        picture(pictures.path(), "a.png", 1);
        let mut index = Index::open(kept.path(), &setting("x"), Replace::Never).unwrap();
        look(&mut index, pictures.path());
        let vectors = index.vectors();
        drop(index);
        let mut bytes = fs::read(&vectors).unwrap();
        bytes.extend([7; 5]);
        fs::write(&vectors, &bytes).unwrap();
        let mut index = Index::open(kept.path(), &setting("x"), Replace::Never).unwrap();
        assert_eq!(look(&mut index, pictures.path()), Changes::default());
        assert_eq!(fs::read(&vectors).unwrap().len(), 8);
        fs::write(&vectors, [0; 3]).unwrap();
        let message = index.update(&find(&[pictures.path()]).inputs).err().unwrap().to_string();
        assert!(message.contains("fewer vectors"), "{message}");
        drop(index);
        fs::write(kept.path().join(HEAD), "{").unwrap();
        assert!(matches!(
            Index::open(kept.path(), &setting("x"), Replace::Never),
            Err(IndexError::Damaged { .. })
        ));
    }
}
