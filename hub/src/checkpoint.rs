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

impl Hub {
    /// [`Hub::locate`] of a checkpoint: a file whose name ends in `.index.json` counts only together with all the
    /// files that it lists. Returns the path of `file`.
    pub fn locate_checkpoint(&self, repo: &str, file: &str, revision: &str) -> Option<PathBuf> {
        let path = self.locate(repo, file, revision)?;
        let shards = shards(&path).ok()?;
        shards.iter().all(|shard| path.with_file_name(shard).exists()).then_some(path)
    }

    /// [`Hub::fetch`] of a checkpoint: when the name of `file` ends in `.index.json`, also of all the files that it
    /// lists, in the order of their names. `sha256` is that of `file`; the shards are verified against the Hub.
    /// Returns the path of `file`, beside which the shards lie.
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
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        let path = self.fetch(repo, file, revision, sha256, progress)?;
        let shards = shards(&path)?;
        // All of one commit, even if the branch moves meanwhile.
        let commit = commit(&path, file).unwrap_or(revision);
        let folder = file.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        for shard in shards {
            self.fetch(repo, &format!("{folder}{shard}"), commit, None, progress)?;
        }
        Ok(path)
    }
}

/// The commit in the path `…/snapshots/<commit>/<file>`.
fn commit<'a>(path: &'a Path, file: &str) -> Option<&'a str> {
    path.ancestors().nth(file.split('/').count())?.file_name()?.to_str()
}

/// Names of the files that an index lists; none if `path` is no index.
fn shards(path: &Path) -> Result<BTreeSet<String>> {
    if !path.to_string_lossy().ends_with(".index.json") {
        return Ok(BTreeSet::new());
    }
    let fault = |why: String| Error::Index { path: path.to_path_buf(), why };
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|e| fault(format!("this is no index of a sharded checkpoint: {e}")))?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    match shards.iter().find(|name| name.contains(['/', '\\'])) {
        Some(name) => {
            Err(fault(format!("it lists `{name}`, but the files of a checkpoint lie beside its index")))
        }
        None => Ok(shards),
    }
}
