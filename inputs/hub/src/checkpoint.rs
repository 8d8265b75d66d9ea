//! Checkpoints of several files, listed by an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Error, Hub, Progress, Result};

/// `*.index.json` of the Python tools: which file holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Which tensors of a checkpoint are wanted, by the names in its index; asked for only when there is an index.
/// `None` wants all of them.
pub type Wanted<'a> = &'a dyn Fn() -> Option<BTreeSet<String>>;

impl Hub {
    /// [`Hub::locate`] of a checkpoint: the file itself, or, when its name ends in `.index.json`, the files that it
    /// lists for the wanted tensors. Nothing if one of them is not there.
    pub fn locate_checkpoint(
        &self,
        repo: &str,
        file: &str,
        revision: &str,
        wanted: Wanted<'_>,
    ) -> Option<Vec<PathBuf>> {
        let path = self.locate(repo, file, revision)?;
        let Some(shards) = shards(&path, wanted).ok()? else { return Some(vec![path]) };
        let paths: Vec<_> = shards.iter().map(|shard| path.with_file_name(shard)).collect();
        paths.iter().all(|path| path.exists()).then_some(paths)
    }

    /// [`Hub::fetch`] of a checkpoint: the file itself, or, when its name ends in `.index.json`, the index and the
    /// files that it lists for the wanted tensors, in the order of their names. So a part of a large model costs
    /// the shards that it stands in. `sha256` is that of `file`; the shards are verified against the Hub. Returns
    /// the files that hold tensors.
    ///
    /// # Errors
    /// Those of [`Hub::fetch`], and [`Error::Index`] when the index cannot be read or names files outside its
    /// folder.
    pub fn fetch_checkpoint(
        &self,
        repo: &str,
        file: &str,
        revision: &str,
        sha256: Option<&str>,
        wanted: Wanted<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>> {
        let path = self.fetch(repo, file, revision, sha256, progress)?;
        let Some(shards) = shards(&path, wanted)? else { return Ok(vec![path]) };
        // All of one commit, even if the branch moves meanwhile.
        let commit = commit(&path, file).unwrap_or(revision);
        let folder = file.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        shards
            .iter()
            .map(|shard| self.fetch(repo, &format!("{folder}{shard}"), commit, None, progress))
            .collect()
    }
}

/// The commit in the path `…/snapshots/<commit>/<file>`.
fn commit<'a>(path: &'a Path, file: &str) -> Option<&'a str> {
    path.ancestors().nth(file.split('/').count())?.file_name()?.to_str()
}

/// Names of the files that an index lists for the wanted tensors; `None` if `path` is no index.
fn shards(path: &Path, wanted: Wanted<'_>) -> Result<Option<BTreeSet<String>>> {
    if !path.to_string_lossy().ends_with(".index.json") {
        return Ok(None);
    }
    let fault = |why: String| Error::Index { path: path.to_path_buf(), why };
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|e| fault(format!("this is no index of a sharded checkpoint: {e}")))?;
    if let Some(name) = index.weight_map.values().find(|name| name.contains(['/', '\\'])) {
        return Err(fault(format!("it lists `{name}`, but the files of a checkpoint lie beside its index")));
    }
    let wanted = wanted();
    let of = |keep: &dyn Fn(&str) -> bool| -> BTreeSet<String> {
        index.weight_map.iter().filter(|(tensor, _)| keep(tensor)).map(|(_, shard)| shard.clone()).collect()
    };
    let some = wanted.map(|names| of(&|tensor| names.contains(tensor))).filter(|shards| !shards.is_empty());
    // Names that the index does not know at all belong to another layout: then every shard may matter.
    Ok(Some(some.unwrap_or_else(|| of(&|_| true))))
}
