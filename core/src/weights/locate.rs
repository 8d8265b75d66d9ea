//! From what the user named (files, folders, indices) to the files that hold tensors.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

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

/// The weight files behind `paths`, shards resolved, in order.
///
/// # Errors
/// [`Error::File`] for a path that is not there, a folder without (or with several) weight files, an index that
/// cannot be read or names a shard that is not there.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if paths.is_empty() {
        return Err(Error::invalid("no weight file was given"));
    }
    let mut out = Vec::new();
    for path in paths {
        let path = if path.is_dir() { in_folder(path)? } else { path.clone() };
        if path.to_string_lossy().ends_with(".index.json") {
            out.extend(shards(&path)?);
        } else {
            out.push(path);
        }
    }
    Ok(out)
}

fn in_folder(folder: &Path) -> Result<PathBuf> {
    if let Some(found) = CONVENTIONS.iter().map(|name| folder.join(name)).find(|path| path.is_file()) {
        return Ok(found);
    }
    let fault = |message: String| Error::File { path: folder.to_owned(), message };
    let entries = fs::read_dir(folder).map_err(|e| fault(e.to_string()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for ending in ENDINGS {
        let of_kind: Vec<&String> = names.iter().filter(|name| name.ends_with(ending)).collect();
        match of_kind.as_slice() {
            [] => {}
            [one] => return Ok(folder.join(one)),
            [first, second, ..] => {
                return Err(fault(format!(
                    "there are several weight files (`{first}`, `{second}`, …); name the one to use"
                )));
            }
        }
    }
    Err(fault(format!(
        "no weight file here; looked for {} and any single file ending in {}",
        CONVENTIONS.join(", "),
        ENDINGS.join(", ")
    )))
}

#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let fault = |message: String| Error::File { path: index.to_owned(), message };
    let text = fs::read_to_string(index).map_err(|e| fault(e.to_string()))?;
    let parsed: Index = serde_json::from_str(&text).map_err(|e| fault(format!("no index of shards: {e}")))?;
    let folder = index.parent().unwrap_or_else(|| Path::new(""));
    let names: BTreeSet<String> = parsed.weight_map.into_values().collect();
    if names.is_empty() {
        return Err(fault("the index names no shard".to_owned()));
    }
    names
        .into_iter()
        .map(|name| {
            if Path::new(&name).components().count() != 1 || name.contains("..") {
                return Err(fault(format!("shard `{name}` is not a plain file name")));
            }
            let path = folder.join(&name);
            if !path.is_file() {
                return Err(fault(format!("shard `{name}` is not there; download it beside the index")));
            }
            Ok(path)
        })
        .collect()
}
