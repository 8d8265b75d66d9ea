//! From what the user named (files, folders, indices) to the files that hold tensors.

use std::collections::BTreeSet;
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
const ENDINGS: [&str; 7] =
    [".safetensors.index.json", ".safetensors", ".bin", ".pth", ".pt", ".tar", ".onnx"];

/// A file that holds tensors.
pub(super) struct Found {
    pub path: PathBuf,
    /// The index that lists it, and under which name.
    pub listed: Option<(Rc<Index>, String)>,
    /// The network that it belongs to, where there are several.
    pub network: Option<String>,
    /// The folder of the file that was named: the index's, if there is one.
    home: PathBuf,
}

impl Found {
    fn alone(path: PathBuf) -> Self {
        let home = path.parent().map(Path::to_owned).unwrap_or_default();
        Self { path, listed: None, network: None, home }
    }
}

/// What stands at the top of a folder of several networks, each in a folder of its own.
const PIPELINE: &str = "model_index.json";

/// The weight files behind `paths`, shards resolved, in order. Of an index that stands beside some of its shards only
/// these are meant, and the index says which of them holds a tensor.
///
/// Files of several folders are several networks, called as their folders are; so are the folders of a pipeline
/// (`model_index.json`) that hold weights.
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
        let found = match path.is_dir() {
            true if path.join(PIPELINE).is_file() => in_pipeline(path)?,
            true => in_folder(path)?,
            false => vec![path.clone()],
        };
        for path in found {
            if Index::is_one(&path) {
                out.extend(shards(&path, paths)?);
            } else if !out.iter().any(|found| found.path == path) {
                out.push(Found::alone(path));
            }
        }
    }
    name_networks(&mut out);
    Ok(out)
}

/// Says which network each file belongs to, where they stand in several folders of different names.
fn name_networks(files: &mut [Found]) {
    let homes: BTreeSet<PathBuf> = files.iter().map(|found| found.home.clone()).collect();
    let name = |home: &Path| home.file_name().map(|name| name.to_string_lossy().into_owned());
    let names: BTreeSet<_> = homes.iter().filter_map(|home| name(home)).collect();
    if homes.len() > 1 && names.len() == homes.len() {
        files.iter_mut().for_each(|found| found.network = name(&found.home));
    }
}

/// The files of all networks of a pipeline; folders without weights are none of them.
fn in_pipeline(folder: &Path) -> Result<Vec<PathBuf>> {
    let fault = |message: String| Error::File { path: folder.to_owned(), message };
    let entries = fs::read_dir(folder).map_err(|e| fault(e.to_string()))?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    let holds = |folder: &PathBuf| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            ENDINGS.iter().any(|ending| name.ends_with(ending))
        })
    };
    let mut files = Vec::new();
    for network in folders.iter().filter(|folder| holds(folder)) {
        files.extend(in_folder(network)?);
    }
    if files.is_empty() {
        return Err(fault(format!("`{PIPELINE}` is here, and no folder with weights beside it")));
    }
    Ok(files)
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
        .map(|name| Found {
            path: folder.join(&name),
            listed: Some((index.clone(), name)),
            network: None,
            home: folder.to_owned(),
        })
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
