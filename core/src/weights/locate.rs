//! From what the user named (files, folders, indices) to the files that hold tensors.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::adapter;
use super::shards::{Index, complete, parts};
use crate::{Error, Result};

/// Names under which the libraries save a whole model, best first.
const CONVENTIONS: [&str; 10] = [
    "model.safetensors.index.json",
    "model.safetensors",
    "open_clip_model.safetensors.index.json",
    "open_clip_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
    "diffusion_pytorch_model.bin",
];

/// What else may hold weights when no name of [`CONVENTIONS`] is there, best first.
const ENDINGS: [&str; 6] = [".safetensors.index.json", ".safetensors", ".bin", ".pth", ".pt", ".tar"];

/// A file that holds tensors.
pub(super) struct Found {
    pub path: PathBuf,
    /// The index that lists it, and under which name.
    pub listed: Option<(Rc<Index>, String)>,
}

impl Found {
    fn alone(path: PathBuf) -> Self {
        Self { path, listed: None }
    }
}

/// The weight files behind `paths`, shards resolved, in order. Of an index that stands beside some of its shards only
/// these are meant, and the index says which of them holds a tensor.
///
/// # Errors
/// [`Error::File`] for a path that is not there, a folder without (or with several) weight files, an index that
/// cannot be read or names a shard that is not there.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<Found>> {
    if paths.is_empty() {
        return Err(Error::invalid("no weight file was given"));
    }
    let mut out: Vec<Found> = Vec::new();
    for path in paths {
        for path in if path.is_dir() { in_folder(path)? } else { vec![path.clone()] } {
            if Index::is_one(&path) {
                out.extend(shards(&path, paths)?);
            } else if !out.iter().any(|found| found.path == path) {
                out.push(Found::alone(path));
            }
        }
    }
    Ok(out)
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    if let Some(found) = CONVENTIONS.iter().map(|name| folder.join(name)).find(|path| path.is_file()) {
        return Ok(vec![found]);
    }
    let fault = |message: String| Error::File { path: folder.to_owned(), message };
    let entries = fs::read_dir(folder).map_err(|e| fault(e.to_string()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !adapter::FILES.contains(&name.as_str()))
        .collect();
    names.sort();
    // Parts of a conventional name without an index stand for the whole of that name.
    for (stem, ending) in CONVENTIONS.iter().filter_map(|name| name.split_once('.')) {
        let ending = format!(".{ending}");
        let parts = parts(&names, stem, &ending);
        if complete(&parts, &ending).map_err(fault)? {
            return Ok(parts.iter().map(|name| folder.join(name)).collect());
        }
    }
    for ending in ENDINGS {
        let of_kind: Vec<&String> = names.iter().filter(|name| name.ends_with(ending)).collect();
        match of_kind.as_slice() {
            [] => {}
            all if complete(all, ending).map_err(fault)? => {
                return Ok(all.iter().map(|name| folder.join(name)).collect());
            }
            [one] => return Ok(vec![folder.join(one)]),
            [first, second, ..] => {
                return Err(fault(format!(
                    "there are several weight files (`{first}`, `{second}`, …); name the one to use"
                )));
            }
        }
    }
    Err(fault(adapter::adapter(folder).unwrap_or_else(|| {
        format!(
            "no weight file here; looked for {} and any single file ending in {}",
            CONVENTIONS.join(", "),
            ENDINGS.join(", ")
        )
    })))
}

/// The shards of an index: those of them that are `given`, or all.
fn shards(path: &Path, given: &[PathBuf]) -> Result<Vec<Found>> {
    let fault = |message: String| Error::File { path: path.to_owned(), message };
    let index = Rc::new(Index::read(path)?);
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let all: Vec<Found> = index
        .files(None)
        .into_iter()
        .map(|name| Found { path: folder.join(&name), listed: Some((index.clone(), name)) })
        .collect();
    let (some, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|shard| given.contains(&shard.path));
    if !some.is_empty() {
        return Ok(some);
    }
    match rest.iter().find(|shard| !shard.path.is_file()) {
        Some(Found { listed: Some((_, name)), .. }) => {
            Err(fault(format!("shard `{name}` is not there; download it beside the index")))
        }
        _ => Ok(rest),
    }
}
