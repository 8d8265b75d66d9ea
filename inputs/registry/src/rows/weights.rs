//! Where weights come from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OneOrMany;

/// Where the weights of a row come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WeightsText", into = "WeightsText")]
pub enum Weights {
    /// Files of a repository on the hub.
    Hub {
        /// `owner/name`.
        repo: String,
        /// Branch, tag or commit.
        revision: String,
        /// In order; never empty. An `*.index.json` stands for the shards that it lists.
        files: Vec<WeightsFile>,
        /// Name of the checkpoint layout, where it cannot be left to detection.
        layout: Option<String>,
    },
    /// A file or folder on this machine.
    Path {
        /// As written; a relative one counts from the folder of the registry file.
        path: String,
        /// As for [`Weights::Hub`].
        layout: Option<String>,
    },
    /// Not on the hub: whoever uses the row gives a file.
    Elsewhere {
        /// An address, or a sentence that says why there is none.
        place: String,
        /// As for [`Weights::Hub`].
        layout: Option<String>,
    },
    /// Random numbers from a fixed seed: for demonstrations, untrained.
    Seed(u64),
}

impl Weights {
    /// Name of the checkpoint layout that the row insists on.
    pub fn layout(&self) -> Option<&str> {
        match self {
            Self::Hub { layout, .. } | Self::Path { layout, .. } | Self::Elsewhere { layout, .. } => {
                layout.as_deref()
            }
            Self::Seed(_) => None,
        }
    }
}

/// One file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsFile {
    /// Path inside the repository.
    pub name: String,
    /// Lower-case hexadecimal, 64 characters.
    pub sha256: Option<String>,
}

/// Exactly one of `repo` (with `file`), `path`, `elsewhere` and `seed`.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Weights")]
#[serde(deny_unknown_fields, expecting = "`{ repo = …, file = … }`, `{ path = … }` or `{ seed = … }`")]
struct WeightsText {
    /// Repository on the hub, `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    repo: Option<String>,
    /// File in the repository, or several; an `*.index.json` stands for the shards that it lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<OneOrMany<String>>,
    /// Branch, tag or commit; `main` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// Hash of the file, one per file, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<OneOrMany<String>>,
    /// File or folder on this machine; a relative one counts from the folder of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Where they are if not on the hub, or why there are none: an address or a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    elsewhere: Option<String>,
    /// Random weights from this seed, untrained.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// Checkpoint layout, where detection is not wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<String>,
}

impl TryFrom<WeightsText> for Weights {
    type Error = String;

    fn try_from(text: WeightsText) -> Result<Self, String> {
        let WeightsText { repo, file, revision, sha256, path, elsewhere, seed, layout } = text;
        let hub_only =
            [("file", file.is_some()), ("revision", revision.is_some()), ("sha256", sha256.is_some())];
        let stray = hub_only.iter().find_map(|(key, there)| there.then_some(*key));
        match (repo, path, elsewhere, seed) {
            (Some(repo), None, None, None) => {
                if repo.split('/').filter(|part| !part.is_empty()).count() != 2 {
                    return Err(format!("weights: `repo` must be `owner/name`, not `{repo}`"));
                }
                let file = file.ok_or("weights: `repo` needs `file`: which file of the repository?")?;
                let files = named_files(file.as_slice(), sha256.as_ref().map(OneOrMany::as_slice))?;
                Ok(Self::Hub { repo, revision: revision.unwrap_or_else(|| "main".into()), files, layout })
            }
            (None, Some(path), None, None) => match stray {
                None => Ok(Self::Path { path, layout }),
                Some(key) => Err(format!("weights: `{key}` belongs to `repo`, not to `path`")),
            },
            (None, None, Some(place), None) => match stray {
                None if place.trim().is_empty() => Err("weights: `elsewhere` says nothing".into()),
                None => Ok(Self::Elsewhere { place, layout }),
                Some(key) => Err(format!("weights: `{key}` belongs to `repo`, not to `elsewhere`")),
            },
            (None, None, None, Some(seed)) => match stray.or(layout.is_some().then_some("layout")) {
                None => Ok(Self::Seed(seed)),
                Some(key) => Err(format!("weights: `{key}` has no meaning beside `seed`")),
            },
            (None, None, None, None) => {
                Err("weights: one of `repo`, `path`, `elsewhere` and `seed` is needed".into())
            }
            _ => Err("weights: only one of `repo`, `path`, `elsewhere` and `seed` can be given".into()),
        }
    }
}

fn named_files(names: &[String], hashes: Option<&[String]>) -> Result<Vec<WeightsFile>, String> {
    if names.is_empty() {
        return Err("weights: `file` names no file".into());
    }
    if let Some(bad) =
        names.iter().find(|n| n.is_empty() || n.starts_with('/') || n.split('/').any(|p| p == ".."))
    {
        return Err(format!("weights: `{bad}` is no path inside a repository"));
    }
    let Some(hashes) = hashes else {
        return Ok(names.iter().map(|name| WeightsFile { name: name.clone(), sha256: None }).collect());
    };
    if hashes.len() != names.len() {
        return Err(format!("weights: {} `file`, but {} `sha256`", names.len(), hashes.len()));
    }
    if let Some(bad) = hashes.iter().find(|h| h.len() != 64 || !h.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(format!("weights: `{bad}` is no sha256: that is 64 hexadecimal digits"));
    }
    let pairs = names.iter().zip(hashes);
    Ok(pairs
        .map(|(name, hash)| WeightsFile { name: name.clone(), sha256: Some(hash.to_ascii_lowercase()) })
        .collect())
}

impl From<Weights> for WeightsText {
    fn from(weights: Weights) -> Self {
        fn gather(mut list: Vec<String>) -> OneOrMany<String> {
            if list.len() == 1 { OneOrMany::One(list.remove(0)) } else { OneOrMany::Many(list) }
        }
        match weights {
            Weights::Hub { repo, revision, files, layout } => {
                let hashes: Vec<_> = files.iter().filter_map(|f| f.sha256.clone()).collect();
                Self {
                    repo: Some(repo),
                    revision: Some(revision),
                    file: Some(gather(files.into_iter().map(|f| f.name).collect())),
                    sha256: (!hashes.is_empty()).then(|| gather(hashes)),
                    layout,
                    ..Self::default()
                }
            }
            Weights::Path { path, layout } => Self { path: Some(path), layout, ..Self::default() },
            Weights::Elsewhere { place, layout } => {
                Self { elsewhere: Some(place), layout, ..Self::default() }
            }
            Weights::Seed(seed) => Self { seed: Some(seed), ..Self::default() },
        }
    }
}
