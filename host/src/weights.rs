//! From a registry row to the files that hold its weights.

use std::path::{Path, PathBuf};

use zoo_hub::{Hub, Progress};
use zoo_registry::Weights;

use crate::HostError;

/// Where the weights of a row are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightsStatus {
    /// On this machine, at a path that the row names.
    Local(PathBuf),
    /// In the Hub cache.
    Cached(Vec<PathBuf>),
    /// Made from a seed when first used: untrained.
    Generated {
        /// The seed.
        seed: u64,
    },
    /// To be downloaded.
    Missing {
        /// Hub repository.
        repo: String,
        /// Files that are not there.
        files: Vec<String>,
    },
    /// The row names none: an architecture that has yet to be trained.
    None,
}

/// What is known about the weights of a row without touching the network.
pub(crate) fn status(hub: &Hub, weights: Option<&Weights>, base: Option<&Path>) -> WeightsStatus {
    match weights {
        None => WeightsStatus::None,
        Some(Weights::Seed(seed)) => WeightsStatus::Generated { seed: *seed },
        Some(Weights::Path { path, .. }) => {
            WeightsStatus::Local(base.unwrap_or_else(|| Path::new("")).join(path))
        }
        Some(Weights::Hub { repo, revision, files, .. }) => {
            let (mut found, mut missing) = (Vec::new(), Vec::new());
            for file in files {
                match hub.locate_checkpoint(repo, &file.name, revision) {
                    Some(path) => found.push(path),
                    None => missing.push(file.name.clone()),
                }
            }
            if missing.is_empty() {
                WeightsStatus::Cached(found)
            } else {
                WeightsStatus::Missing { repo: repo.clone(), files: missing }
            }
        }
    }
}

/// Brings the weights of a row here; nothing to do for rows that are not on the Hub.
pub(crate) fn pull(
    hub: &Hub,
    weights: Option<&Weights>,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>, HostError> {
    let Some(Weights::Hub { repo, revision, files, .. }) = weights else { return Ok(Vec::new()) };
    files
        .iter()
        .map(|file| {
            Ok(hub.fetch_checkpoint(repo, &file.name, revision, file.sha256.as_deref(), progress)?)
        })
        .collect()
}

/// A replacement for the weights of `id` in a folder: `<id>.<extension>` or a folder `<id>`.
pub(crate) fn in_folder(folder: &Path, id: &str) -> Option<PathBuf> {
    ["safetensors", "safetensors.index.json", "bin", "pth", "pt"]
        .iter()
        .map(|extension| folder.join(format!("{id}.{extension}")))
        .chain([folder.join(id)])
        .find(|path| path.exists())
}
