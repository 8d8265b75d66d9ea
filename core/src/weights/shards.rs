//! Checkpoints of several files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use crate::{Error, Result, json};

/// How an index ends: `model.safetensors.index.json`.
const ENDING: &str = ".index.json";

/// `*.index.json` of the Python tools: which file holds which tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    files: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Written {
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Whether a file of this name is an index.
    pub fn is_one(path: &Path) -> bool {
        path.to_string_lossy().ends_with(ENDING)
    }

    /// Reads an index. Files are named as seen from its folder, with `/` between folders and without `.`.
    ///
    /// # Errors
    /// [`Error::File`] when it is no index, names no file, or one outside of its folder.
    pub fn read(path: &Path) -> Result<Self> {
        let fault = |message: String| Error::File { path: path.to_owned(), message };
        let written: Written = json::read(path).map_err(|error| match error {
            Error::File { message, .. } => fault(format!("no index of shards: {message}")),
            other => other,
        })?;
        if written.weight_map.is_empty() {
            return Err(fault("the index names no shard".to_owned()));
        }
        let mut files = BTreeMap::new();
        for (tensor, file) in written.weight_map {
            let plain = within(&file).ok_or_else(|| {
                fault(format!(
                    "shard `{file}` lies outside of the index's folder; put it there, or a link to it, and correct the \
                     index"
                ))
            })?;
            files.insert(tensor, plain);
        }
        Ok(Self { files })
    }

    /// The files that hold the wanted tensors, sorted; all files for `None`, and for names of which the index has none:
    /// they belong to another layout, and then every file may matter.
    pub fn files(&self, wanted: Option<&BTreeSet<String>>) -> Vec<String> {
        let of = |keep: &dyn Fn(&str) -> bool| -> BTreeSet<&String> {
            self.files.iter().filter(|(tensor, _)| keep(tensor)).map(|(_, file)| file).collect()
        };
        let some = wanted.map(|names| of(&|tensor| names.contains(tensor))).filter(|files| !files.is_empty());
        some.unwrap_or_else(|| of(&|_| true)).into_iter().cloned().collect()
    }

    /// The file from which a tensor is read, where the index says it.
    pub(super) fn file_of(&self, tensor: &str) -> Option<&str> {
        self.files.get(tensor).map(String::as_str)
    }
}

/// A relative path without detours; `None` if it leaves its folder.
fn within(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty() && !path.contains('\\')).then(|| parts.join("/"))
}

/// A file that says of itself which part of how many it is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Numbered<'a> {
    stem: &'a str,
    parts: usize,
    part: usize,
}

impl<'a> Numbered<'a> {
    /// `model-00001-of-00002`
    fn of(name: &'a str, ending: &str) -> Option<Self> {
        let (front, parts) = name.strip_suffix(ending)?.rsplit_once("-of-")?;
        let (stem, part) = front.rsplit_once('-')?;
        let number =
            |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        Some(Self { stem, parts: number(parts)?, part: number(part)? })
    }
}

/// Those of `names` that are parts of the file `stem` + `ending`.
pub(super) fn parts<'a>(names: &'a [String], stem: &str, ending: &str) -> Vec<&'a String> {
    let part = |name: &&String| Numbered::of(name, ending).is_some_and(|part| part.stem == stem);
    names.iter().filter(part).collect()
}

/// Whether `names` are the parts of one checkpoint that has no index.
///
/// # Errors
/// Which parts are missing, if they are of one checkpoint and not all there.
pub(super) fn complete(names: &[&String], ending: &str) -> Result<bool, String> {
    let Some(mut all) = names.iter().map(|name| Numbered::of(name, ending)).collect::<Option<Vec<_>>>()
    else {
        return Ok(false);
    };
    all.sort();
    let [first, ..] = all.as_slice() else { return Ok(false) };
    if all.iter().any(|one| one.stem != first.stem || one.parts != first.parts) {
        return Ok(false);
    }
    let there: BTreeSet<usize> = all.iter().map(|one| one.part).collect();
    let missing: Vec<String> =
        (1..=first.parts).filter(|part| !there.contains(part)).take(8).map(|part| part.to_string()).collect();
    match missing.as_slice() {
        [] => Ok(true),
        _ => Err(format!(
            "of the {} parts of `{}` not all are here: number {} is missing; download the rest",
            first.parts,
            first.stem,
            missing.join(", ")
        )),
    }
}
