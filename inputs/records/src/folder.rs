//! Folders: which tables are in one, or which files make a row.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::tar::split;
use crate::{Error, Form, Result, Value, picture};

/// The tables of a folder; none where its files are the rows.
pub(crate) fn tables(folder: &Path) -> Result<Vec<PathBuf>> {
    for name in ["metadata.jsonl", "metadata.csv", "metadata.parquet"] {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(vec![path]);
        }
    }
    let mut out = Vec::new();
    for path in files(folder) {
        let path = path?;
        // A JSON file of its own beside each picture is the usual thing, so JSON is no table here.
        if matches!(Form::of(&path), Some((form, _)) if form != Form::Json) {
            out.push(path);
        }
    }
    Ok(out)
}

/// All files below a folder in the order of their names; hidden ones are left out.
fn files(folder: &Path) -> impl Iterator<Item = Result<PathBuf>> + use<> {
    let (root, hidden) =
        (folder.to_owned(), |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b"."));
    let entries = WalkDir::new(folder).sort_by_file_name().into_iter();
    entries.filter_entry(move |entry| entry.depth() == 0 || !hidden(entry.file_name())).filter_map(
        move |entry| match entry {
            Ok(entry) => (entry.file_type().is_file() || entry.path_is_symlink() && entry.path().is_file())
                .then(|| Ok(entry.into_path())),
            Err(error) => {
                let path = error.path().unwrap_or(&root).to_owned();
                Some(Err(Error::io(&path, "cannot read the folder")(error.into())))
            }
        },
    )
}

/// A row: its stem, and its files.
#[derive(Debug, Clone)]
pub(crate) struct Stem {
    pub key: String,
    /// What follows the stem, and the file.
    pub files: Vec<(String, PathBuf)>,
}

/// The rows of a folder in the order of their stems.
pub(crate) struct Stems {
    root: PathBuf,
    files: Box<dyn Iterator<Item = Result<PathBuf>> + Send>,
    next: Option<Stem>,
}

impl Stems {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), files: Box::new(files(root)), next: None }
    }

    fn stem(&self, path: &Path) -> Result<Option<(String, String)>> {
        let name = path.strip_prefix(&self.root).unwrap_or(path).to_str().map(|name| name.replace('\\', "/"));
        let name = name.ok_or_else(|| Error::file(path, "the name is not UTF-8"))?;
        Ok(split(&name).map(|(stem, rest)| (stem.to_owned(), rest.to_owned())))
    }
}

impl Iterator for Stems {
    type Item = Result<Stem>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(path) = self.files.next() {
            let path = match path {
                Ok(path) => path,
                Err(error) => return Some(Err(error)),
            };
            let (key, rest) = match self.stem(&path) {
                Ok(Some(stem)) => stem,
                Ok(None) => continue,
                Err(error) => return Some(Err(error)),
            };
            match &mut self.next {
                Some(stem) if stem.key == key => stem.files.push((rest, path)),
                _ => {
                    let new = Stem { key, files: vec![(rest, path)] };
                    if let Some(done) = self.next.replace(new) {
                        return Some(Ok(done));
                    }
                }
            }
        }
        self.next.take().map(Ok)
    }
}

/// The values of a row. Pictures stay where they are, and are paths.
pub(crate) fn fields(root: &Path, stem: Stem) -> Result<Vec<(String, Value)>> {
    let (mut parts, mut pictures) = (Vec::new(), Vec::new());
    for (rest, path) in stem.files {
        let (column, extension) = match rest.rsplit_once('.') {
            Some((column, extension)) => (column, extension),
            None => ("image", rest.as_str()),
        };
        if picture::is_extension(&extension.to_lowercase()) {
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            pictures.push((column.to_owned(), Value::Text(path)));
        } else {
            let bytes = std::fs::read(&path).map_err(Error::io(&path, "cannot read a file of a row"))?;
            parts.push((rest, bytes));
        }
    }
    let mut fields =
        crate::tar::fields(parts).map_err(|message| Error::file(&root.join(&stem.key), message))?;
    for (column, path) in pictures {
        match fields.iter_mut().find(|(name, _)| *name == column) {
            Some((_, old)) => *old = path,
            None => fields.push((column, path)),
        }
    }
    Ok(fields)
}
