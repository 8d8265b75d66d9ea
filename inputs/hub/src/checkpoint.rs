//! Checkpoints of several files, listed by an index.

use std::path::{Path, PathBuf};

use crate::{Error, Hub, Progress, Result, names};

/// From an index (`*.index.json`) to the files that are wanted of those that it lists, as seen from its folder; or what
/// is wrong with it. Asked for only when there is an index.
pub type Listing<'a> = &'a dyn Fn(&Path) -> std::result::Result<Vec<String>, String>;

impl Hub {
    /// [`Hub::locate`] of a checkpoint: the file itself, or, when its name ends in `.index.json`, the files that
    /// `listing` wants. Nothing if one of them is not there.
    pub fn locate_checkpoint(
        &self,
        repo: &str,
        file: &str,
        revision: &str,
        listing: Listing<'_>,
    ) -> Option<Vec<PathBuf>> {
        let path = self.locate(repo, file, revision)?;
        let Some(shards) = shards(&path, listing).ok()? else { return Some(vec![path]) };
        let folder = path.parent()?;
        let paths: Vec<_> = shards.iter().map(|shard| folder.join(shard)).collect();
        paths.iter().all(|path| path.exists()).then_some(paths)
    }

    /// [`Hub::fetch`] of a checkpoint: the file itself, or, when its name ends in `.index.json`, the index and the
    /// files that `listing` wants, in that order. So a part of a large model costs the shards that it stands in.
    /// `sha256` is that of `file`; the shards are verified against the Hub. Returns the files that hold tensors.
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
        listing: Listing<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>> {
        let path = self.fetch(repo, file, revision, sha256, progress)?;
        let Some(shards) = shards(&path, listing)? else { return Ok(vec![path]) };
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

/// The files that are wanted of those that an index lists; `None` if `path` is no index.
fn shards(path: &Path, listing: Listing<'_>) -> Result<Option<Vec<String>>> {
    if !path.to_string_lossy().ends_with(".index.json") {
        return Ok(None);
    }
    let fault = |why: String| Error::Index { path: path.to_path_buf(), why };
    let shards = listing(path).map_err(fault)?;
    match shards.iter().find(|name| names::file(name).is_err()) {
        Some(name) => {
            Err(fault(format!("it lists `{name}`, but the files of a checkpoint lie beside its index")))
        }
        None => Ok(Some(shards)),
    }
}
