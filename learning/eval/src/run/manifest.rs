//! What a run was made with: `run.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::task::Task;
use crate::{Error, Result};

/// The name of the file.
const FILE: &str = "run.json";

/// How questions are asked, the same for all tasks of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// No picture is shown: the prompt is the same, and its image tokens are left out of the sequence.
    pub blind: bool,
    /// How an answer is found.
    pub choices: Choices,
    /// Tokens at most, in place of what the task says.
    pub max_new_tokens: Option<usize>,
    /// Items at most per task.
    pub limit: Option<usize>,
}

/// How an answer is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choices {
    /// It is written, greedily.
    #[default]
    Written,
    /// The likeliest of the options' letters, or of yes and no, per token.
    Likelihood,
}

/// `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's version.
    pub version: u32,
    /// What people call the model.
    pub model: String,
    /// Everything else that is known of who answered: fingerprint, template, preprocessing, endpoint.
    pub answerer: Json,
    /// How it was asked.
    pub asking: Asking,
    /// The tasks.
    pub tasks: BTreeMap<String, TaskManifest>,
}

/// What is recorded of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskManifest {
    /// What the first 16 digits of SHA-256 of its file are.
    pub revision: String,
    /// How many items are asked.
    pub items: usize,
    /// Tokens at most.
    pub max_new_tokens: usize,
    /// The text behind the question of the first item.
    pub suffix: String,
    /// The names of the data files and their sizes.
    pub files: Vec<(String, u64)>,
    /// SHA-256 over all prompts and right answers: equal data ask equal questions.
    pub questions: String,
    /// The first item's prompt as the model reads it, template and all.
    pub example: Option<String>,
}

impl TaskManifest {
    /// That of a task and its data.
    ///
    /// # Errors
    /// [`Error::Io`] when a data file is gone.
    pub fn of(task: &Task, dataset: &Dataset, asking: &Asking, example: Option<String>) -> Result<Self> {
        let mut hasher = Sha256::new();
        for item in &dataset.items {
            let target = serde_json::to_string(&item.target).unwrap_or_default();
            hasher.update(format!("{}\0{}\0{target}\0", item.id, item.prompt));
        }
        let file = |path: &PathBuf| -> Result<(String, u64)> {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Ok((name, path.metadata().map_err(Error::io(path, "cannot read"))?.len()))
        };
        Ok(Self {
            revision: task.revision.clone(),
            items: dataset.items.len(),
            max_new_tokens: asking.max_new_tokens.unwrap_or(task.spec.generation.max_new_tokens),
            suffix: dataset.items.first().map(|item| item.suffix.clone()).unwrap_or_default(),
            files: dataset.files.iter().map(file).collect::<Result<_>>()?,
            questions: hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            example,
        })
    }
}

impl Manifest {
    /// Reads that of a run.
    ///
    /// # Errors
    /// [`Error::Run`]
    pub fn open(run: &Path) -> Result<Self> {
        let path = run.join(FILE);
        let text = std::fs::read(&path).map_err(|_| {
            Error::run(
                run,
                format!("no run of `zoo eval`: there is no {FILE}; give the folder that --out named"),
            )
        })?;
        serde_json::from_slice(&text)
            .map_err(|error| Error::run(&path, format!("is not what a run writes: {error}")))
    }

    /// Keeps it, or finds that what is there is the same but for tasks. Tasks that are there stay. The run is held
    /// ([`super::hold`]).
    ///
    /// # Errors
    /// [`Error::Run`] where the folder holds a run of something else.
    pub fn keep(mut self, run: &Path) -> Result<Self> {
        let path = run.join(FILE);
        if path.exists() {
            let there = Self::open(run)?;
            let mut differing = Vec::new();
            if (there.version, &there.model) != (self.version, &self.model) {
                differing.push(format!("the model ({}, not {})", there.model, self.model));
            } else if there.answerer != self.answerer {
                differing.push(differing_keys(&there.answerer, &self.answerer));
            }
            if there.asking != self.asking {
                differing.push("the way of asking (--blind, --choices-by, --limit, --max-new-tokens)".into());
            }
            for (name, task) in &self.tasks {
                match there.tasks.get(name) {
                    Some(known) if known.revision != task.revision => {
                        differing.push(format!("the file of task `{name}`"))
                    }
                    Some(known) if known.questions != task.questions => {
                        differing.push(format!("the data of task `{name}`"))
                    }
                    _ => {}
                }
            }
            if !differing.is_empty() {
                let message = format!(
                    "holds a run that differs in {}; continue it as it was begun, or name another folder with --out",
                    differing.join(", ")
                );
                return Err(Error::run(run, message));
            }
            let known = there.tasks.into_iter().filter(|(name, _)| !self.tasks.contains_key(name));
            let known: Vec<_> = known.collect();
            self.tasks.extend(known);
        }
        let text = serde_json::to_vec_pretty(&self).map_err(|error| Error::run(&path, error.to_string()))?;
        super::keep_file(&path, &[&text, b"\n".as_slice()].concat())?;
        Ok(self)
    }
}

/// The names of what differs between two objects.
fn differing_keys(there: &Json, here: &Json) -> String {
    let (Some(there), Some(here)) = (there.as_object(), here.as_object()) else { return "the model".into() };
    let names: Vec<&str> = there.keys().chain(here.keys()).map(String::as_str).collect();
    let mut names: Vec<&str> = names.into_iter().filter(|name| there.get(*name) != here.get(*name)).collect();
    names.sort_unstable();
    names.dedup();
    format!("the model's {}", names.join(" and "))
}
