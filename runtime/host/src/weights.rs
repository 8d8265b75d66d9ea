//! From a registry row to the files that hold its weights.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use zoo_core::weights::Index;
use zoo_core::{Error as CoreError, Spec};
use zoo_hub::Progress;
use zoo_registry::{Kind, Weights};

use crate::generate::generated;
use crate::paths::folder_of;
use crate::plugins::ObjectKind;
use crate::{HostError, Zoo};

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
    /// Not on the Hub: to be given by the user.
    Elsewhere {
        /// An address, or a sentence that says why there is none.
        place: String,
    },
    /// The row names none: an architecture that has yet to be trained.
    None,
}

/// A registry row that has weights, with what its plugin is to be told.
pub(crate) struct WeightedRow<'a> {
    pub row: Kind,
    pub object: ObjectKind,
    pub plugin: &'a str,
    pub spec: Spec,
    pub weights: Option<&'a Weights>,
}

impl Zoo {
    /// What is known about the weights of a part without touching the network.
    pub(crate) fn status(&self, part: &WeightedRow<'_>) -> WeightsStatus {
        match part.weights {
            None => WeightsStatus::None,
            Some(Weights::Seed(seed)) => WeightsStatus::Generated { seed: *seed },
            Some(Weights::Path { path, .. }) => WeightsStatus::Local(self.base(part).join(path)),
            Some(Weights::Elsewhere { place, .. }) => WeightsStatus::Elsewhere { place: place.clone() },
            Some(Weights::Hub { repo, revision, files, .. }) => {
                let (mut found, mut missing) = (Vec::new(), Vec::new());
                let listing = |index: &Path| listed(index, || self.wanted(part));
                for file in files {
                    match self.hub().locate_checkpoint(repo, &file.name, revision, &listing) {
                        Some(paths) => found.extend(paths),
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

    /// Brings the weights of a part here; nothing to do for those that are not on the Hub.
    pub(crate) fn fetch(
        &self,
        part: &WeightedRow<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>, HostError> {
        let Some(Weights::Hub { repo, revision, files, .. }) = part.weights else { return Ok(Vec::new()) };
        let mut paths = Vec::new();
        for file in files {
            let sha256 = file.sha256.as_deref();
            let listing = |index: &Path| listed(index, || self.wanted(part));
            paths
                .extend(self.hub().fetch_checkpoint(repo, &file.name, revision, sha256, &listing, progress)?);
        }
        Ok(paths)
    }

    /// The files to open, and whether their numbers come from a seed. `replacement` is what the user brings.
    pub(crate) fn files(
        &self,
        part: &WeightedRow<'_>,
        replacement: Option<PathBuf>,
    ) -> Result<(Vec<PathBuf>, bool), HostError> {
        if let Some(path) = replacement {
            return Ok((vec![path], false));
        }
        if self.random().is_some() {
            return Ok((Vec::new(), true));
        }
        let id = &part.spec.id;
        match self.status(part) {
            WeightsStatus::Local(path) => Ok((vec![path], false)),
            WeightsStatus::Cached(paths) => Ok((self.indices(part).chain(paths).collect(), false)),
            WeightsStatus::Generated { seed } => {
                let tensors = self.plugins().get(part.plugin)?.inspect(part.object, &part.spec)?.tensors;
                let folder = self.folders().cache.join("generated");
                Ok((vec![generated(&folder, id, seed, &tensors)?], true))
            }
            WeightsStatus::Missing { repo, files } => Err(HostError::WeightsMissing(format!(
                "the weights of `{id}` are not on this machine: {} of {repo} {} not in {}; run `zoo pull {id}`, or give \
                 a file or folder with --weights",
                files.join(", "),
                if files.len() == 1 { "is" } else { "are" },
                self.hub().settings().cache.display()
            ))),
            WeightsStatus::Elsewhere { place } => Err(HostError::WeightsMissing(format!(
                "the weights of `{id}` are not on the Hub: {place}; give a file or folder with --weights"
            ))),
            WeightsStatus::None => Err(HostError::WeightsMissing(format!(
                "`{id}` is an architecture without published weights; give a file or folder with --weights"
            ))),
        }
    }

    /// The indices among the files of a part: they say which of several shards holds a tensor.
    fn indices(&self, part: &WeightedRow<'_>) -> impl Iterator<Item = PathBuf> {
        let all = match part.weights {
            Some(Weights::Hub { repo, revision, files, .. }) => {
                files.iter().filter_map(|file| self.hub().locate(repo, &file.name, revision)).collect()
            }
            _ => Vec::new(),
        };
        all.into_iter().filter(|path| Index::is_one(path))
    }

    /// The tensors of a part as its published checkpoint names them; unknown without its plugin.
    fn wanted(&self, part: &WeightedRow<'_>) -> Option<BTreeSet<String>> {
        let found = self.plugins().get(part.plugin).ok()?.inspect(part.object, &part.spec).ok()?;
        Some(found.tensors.into_iter().map(|tensor| tensor.key).collect())
    }

    /// The folder that relative weight paths of a row count from.
    fn base(&self, part: &WeightedRow<'_>) -> PathBuf {
        let origin = self.registry().origin(part.row, &part.spec.id);
        origin.map(|o| folder_of(&o.file)).unwrap_or_default()
    }
}

/// The files that an index lists for the tensors that are `wanted`, for [`zoo_hub::Listing`].
pub(crate) fn listed(
    index: &Path,
    wanted: impl FnOnce() -> Option<BTreeSet<String>>,
) -> Result<Vec<String>, String> {
    match Index::read(index) {
        Ok(index) => Ok(index.files(wanted().as_ref())),
        Err(CoreError::File { message, .. }) => Err(message),
        Err(other) => Err(other.to_string()),
    }
}

/// A replacement for the weights of `id` in a folder: `<id>.<extension>` or a folder `<id>`.
pub(crate) fn in_folder(folder: &Path, id: &str) -> Option<PathBuf> {
    ["safetensors", "safetensors.index.json", "bin", "pth", "pt"]
        .iter()
        .map(|extension| folder.join(format!("{id}.{extension}")))
        .chain([folder.join(id)])
        .find(|path| path.exists())
}
