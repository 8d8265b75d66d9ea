//! From the name of a model to its folder, and from the Hub to that folder.

use std::path::{Path, PathBuf};

use zoo_hub::{Error as HubError, Progress};
use zoo_models::Shipped;
use zoo_registry::{Kind, LlmRow, ModelRow, Row, Weights};
use zoo_release::Release;

use crate::paths::folder_of;
use crate::weights::listed;
use crate::{HostError, WeightsStatus, Zoo};

/// What a model folder must have on the Hub beside its weights.
const CONFIG: &str = "config.json";
/// At least one of them is there.
const TOKENIZERS: [&str; 2] = ["tokenizer.json", "tokenizer.model"];
/// What it may have.
const OPTIONAL: [&str; 7] = [
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "processor_config.json",
    "chat_template.json",
    "chat_template.jinja",
];

/// All files of an index.
fn whole(index: &Path) -> Result<Vec<String>, String> {
    listed(index, || None)
}

/// What a model is made from.
enum ModelSource<'a> {
    /// A folder on this machine; the name of the model, where the folder's own name is not it.
    Folder(PathBuf, Option<String>),
    /// The parts that its registry row names.
    Parts(&'a ModelRow),
}

/// A model folder on the Hub: repository, revision and the file or index with its weights.
struct HubModel<'a> {
    id: &'a str,
    repo: &'a str,
    revision: &'a str,
    weights: &'a str,
    sha256: Option<&'a str>,
}

impl<'a> HubModel<'a> {
    fn of(row: &'a ModelRow) -> Option<Self> {
        Self::at(&row.id, row.weights.as_ref()?)
    }

    fn at(id: &'a str, weights: &'a Weights) -> Option<Self> {
        let Weights::Hub { repo, revision, files, .. } = weights else { return None };
        let file = files.first()?;
        Some(Self { id, repo, revision, weights: &file.name, sha256: file.sha256.as_deref() })
    }
}

/// Whether `model` has the form `owner/name` and of no path that somebody would write.
fn names_repository(model: &str) -> bool {
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    model.split_once('/').is_some_and(|(owner, name)| word(owner) && word(name) && !is_file_of_weights(name))
}

fn is_file_of_weights(name: &str) -> bool {
    [".gguf", ".safetensors", ".bin", ".pth", ".pt", ".json"].iter().any(|end| name.ends_with(end))
}

impl Zoo {
    /// The models that the program carries with it, unless a registry row takes their name.
    pub fn shipped_models(&self) -> impl Iterator<Item = &'static Shipped> {
        zoo_models::ALL.iter().copied().filter(|shipped| self.registry().model(shipped.id).is_err())
    }

    /// What a model is: that of a registry id, one that the program carries with it, or that of a folder; and its row, where
    /// it is put together from the parts that the row names.
    ///
    /// # Errors
    /// As [`Release::read`]; [`HostError::WeightsMissing`] for files that are not on this machine.
    pub(crate) fn release(&self, model: &Path) -> Result<(Release, Option<&ModelRow>), HostError> {
        match self.model_source(model)? {
            ModelSource::Folder(folder, name) => {
                Ok((Release::read(&folder, name.as_deref(), self.registry())?, None))
            }
            ModelSource::Parts(row) => {
                let llm = self.registry().llm(&row.llm)?;
                let folder = self.folder_of(llm, Some(&llm.weights))?.ok_or_else(|| no_folder(llm))?;
                Ok((Release::compose(row, &folder, self.registry())?, Some(row)))
            }
        }
    }

    fn model_source(&self, path: &Path) -> Result<ModelSource<'_>, HostError> {
        let folder = |path: &Path| Ok(ModelSource::Folder(path.to_owned(), None));
        // A name that is not UTF-8 is that of a folder.
        let Some(model) = path.to_str() else { return folder(path) };
        let row = match (self.registry().model(model), zoo_models::named(model)) {
            (Ok(row), _) => row,
            (Err(_), Some(shipped)) => {
                let folder = shipped.unpack(&self.folders().data.join("models"))?;
                return Ok(ModelSource::Folder(folder, Some(shipped.id.to_owned())));
            }
            (Err(_), None) if !path.exists() && names_repository(model) => {
                return Err(self.repository(model));
            }
            (Err(_), None) if path.exists() || path.components().count() > 1 || path.is_absolute() => {
                return folder(path);
            }
            (Err(error), None) => return Err(error.into()),
        };
        if row.weights.is_none() {
            return Ok(ModelSource::Parts(row));
        }
        let folder = self.folder_of(row, row.weights.as_ref())?.ok_or_else(|| no_folder(row))?;
        let name = match HubModel::of(row) {
            Some(hub) => hub.repo.rsplit('/').next().map(str::to_owned),
            None => Some(row.id.clone()),
        };
        Ok(ModelSource::Folder(folder, name))
    }

    /// The folder in which the weights of a row are, with everything that belongs to them; none where the row names none.
    fn folder_of<R: Row>(&self, row: &R, weights: Option<&Weights>) -> Result<Option<PathBuf>, HostError> {
        match weights {
            Some(Weights::Path { path, .. }) => Ok(Some(self.beside(row).join(path))),
            Some(weights) => HubModel::at(row.id(), weights).map(|hub| self.cached(&hub)).transpose(),
            None => Ok(None),
        }
    }

    /// What to do with the name of a repository where a model is asked for.
    fn repository(&self, name: &str) -> HostError {
        let known =
            self.registry().models().filter_map(HubModel::of).find(|hub| hub.repo.eq_ignore_ascii_case(name));
        HostError::WeightsMissing(match known {
            Some(HubModel { id, .. }) => {
                format!(
                    "there is no folder `{name}`; the repository of that name is the model `{id}` here: --model {id}"
                )
            }
            None => format!(
                "there is no folder `{name}`. If it is a repository on the Hub, download all of it \
                 (`hf download {name} --local-dir DIR`) and give that folder; what a model folder must hold is in \
                 docs/models.md, and `zoo list models` shows the models that `zoo pull` knows"
            ),
        })
    }

    /// Where the weights of a model are, without touching the network; of one that is put together from its parts, those of
    /// its language model.
    pub fn model_status(&self, row: &ModelRow) -> WeightsStatus {
        match (&row.weights, self.registry().llm(&row.llm)) {
            (Some(weights), _) => self.folder_status(row, weights),
            (None, Ok(llm)) => self.llm_status(llm),
            (None, Err(_)) => WeightsStatus::None,
        }
    }

    /// Where the weights of a language model are, without touching the network.
    pub fn llm_status(&self, row: &LlmRow) -> WeightsStatus {
        self.folder_status(row, &row.weights)
    }

    fn folder_status<R: Row>(&self, row: &R, weights: &Weights) -> WeightsStatus {
        match (weights, HubModel::at(row.id(), weights)) {
            (_, Some(hub)) => match self.locate(&hub) {
                Ok(folder) => WeightsStatus::Cached(vec![folder]),
                Err(missing) => {
                    let files = missing.into_iter().map(str::to_owned).collect();
                    WeightsStatus::Missing { repo: hub.repo.to_owned(), files }
                }
            },
            (Weights::Path { path, .. }, None) => WeightsStatus::Local(self.beside(row).join(path)),
            _ => WeightsStatus::None,
        }
    }

    /// The folder of the registry file in which `row` stands.
    fn beside<R: Row>(&self, row: &R) -> PathBuf {
        let origin = self.registry().origin(R::KIND, row.id());
        origin.map(|o| folder_of(&o.file)).unwrap_or_default()
    }

    /// The folder of a model in the cache, if it is complete.
    fn cached(&self, model: &HubModel<'_>) -> Result<PathBuf, HostError> {
        let HubModel { id, repo, .. } = *model;
        self.locate(model).map_err(|missing| {
            HostError::WeightsMissing(format!(
                "the files of `{id}` are not all on this machine: {} of {repo} {} not in {}; run `zoo pull {id}`, or \
                 give a model folder with --model",
                missing.join(", "),
                if missing.len() == 1 { "is" } else { "are" },
                self.hub().settings().cache.display()
            ))
        })
    }

    /// The same, or what is missing.
    fn locate<'m>(&self, model: &HubModel<'m>) -> Result<PathBuf, Vec<&'m str>> {
        let HubModel { repo, revision, weights, .. } = *model;
        let config = self.hub().locate(repo, CONFIG, revision);
        let tokenizer = TOKENIZERS.iter().any(|file| self.hub().locate(repo, file, revision).is_some());
        let shards = self.hub().locate_checkpoint(repo, weights, revision, &whole);
        let mut missing = Vec::new();
        for (there, name) in
            [(config.is_some(), CONFIG), (tokenizer, TOKENIZERS[0]), (shards.is_some(), weights)]
        {
            if !there {
                missing.push(name);
            }
        }
        match config.as_deref().and_then(Path::parent) {
            Some(folder) if missing.is_empty() => Ok(folder.to_owned()),
            _ => Err(missing),
        }
    }

    /// Downloads a model: its folder and the encoders that its configuration names, or the parts that its row names.
    pub(crate) fn pull_model(
        &self,
        row: &ModelRow,
        progress: &dyn Progress,
    ) -> Result<Vec<PathBuf>, HostError> {
        if row.weights.is_none() {
            let mut files = self.pull_llm(self.registry().llm(&row.llm)?, progress)?;
            files.extend(self.pull(&row.connector, progress)?);
            for member in &self.registry().ensemble(&row.ensemble)?.members {
                files.extend(self.pull(&member.encoder, progress)?);
            }
            return Ok(files);
        }
        let Some(hub) = HubModel::of(row) else { return Ok(Vec::new()) };
        let (folder, mut files) = self.pull_folder(&hub, progress)?;
        let name = hub.repo.rsplit('/').next();
        for encoder in Release::read(&folder, name, self.registry())?.encoders {
            files.extend(self.pull(&encoder.id, progress)?);
        }
        Ok(files)
    }

    /// Downloads a language model with its tokenizer.
    pub(crate) fn pull_llm(&self, row: &LlmRow, progress: &dyn Progress) -> Result<Vec<PathBuf>, HostError> {
        let Some(hub) = HubModel::at(&row.id, &row.weights) else { return Ok(Vec::new()) };
        Ok(self.pull_folder(&hub, progress)?.1)
    }

    /// Downloads a model folder with all shards of its weights.
    fn pull_folder(
        &self,
        hub: &HubModel<'_>,
        progress: &dyn Progress,
    ) -> Result<(PathBuf, Vec<PathBuf>), HostError> {
        let HubModel { repo, revision, weights, sha256, .. } = *hub;
        let config = self.hub().fetch(repo, CONFIG, revision, None, progress)?;
        let folder = config.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut files = vec![config];
        let mut tokenizer = Err(HostError::Internal("no tokenizer was asked for".into()));
        for file in TOKENIZERS {
            match self.hub().fetch(repo, file, revision, None, progress) {
                Ok(path) => {
                    files.push(path);
                    tokenizer = Ok(());
                    break;
                }
                Err(error @ HubError::NoFile { .. }) => tokenizer = Err(error.into()),
                Err(error) => return Err(error.into()),
            }
        }
        tokenizer?;
        for file in OPTIONAL {
            match self.hub().fetch(repo, file, revision, None, progress) {
                Ok(path) => files.push(path),
                // A file that a release does not have, and offline one that was never fetched.
                Err(HubError::NoFile { .. } | HubError::Offline { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        files.extend(self.hub().fetch_checkpoint(repo, weights, revision, sha256, &whole, progress)?);
        Ok((folder, files))
    }
}

/// A row whose weights are no folder.
fn no_folder<R: Row>(row: &R) -> HostError {
    let kind = R::KIND;
    let folder = if kind == Kind::Llm { "a language model's folder" } else { "a model's folder" };
    HostError::WeightsMissing(format!(
        "the {kind} `{}`: it is opened from {folder}; write `weights = {{ repo = …, file = … }}` or `weights = {{ path = \
         … }}` into its row",
        row.id()
    ))
}
