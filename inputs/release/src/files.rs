//! Which files of a folder are what.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zoo_core::json;
use zoo_core::weights::adapter;

use crate::{Error, Result};

/// Names under which a whole language model is saved, best first.
const MODELS: [&str; 4] = [
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
];

/// The connector alone, as connector training saves it: our own, and the reference's.
const CONNECTORS: [&str; 2] = ["mm_projector.safetensors", "mm_projector.bin"];

/// Files of a model folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub config: PathBuf,
    pub generation: Option<PathBuf>,
    /// `tokenizer.json`, else `tokenizer.model`.
    pub tokenizer: PathBuf,
    /// Language model and connector in one checkpoint: a file, an index, or the folder where its parts have none.
    pub model: Option<PathBuf>,
    /// A file of the connector alone.
    pub connector: Option<PathBuf>,
    pub toml: Option<PathBuf>,
}

impl Files {
    /// Looks for the files of `folder`; says everything that is missing at once.
    pub fn find(folder: &Path) -> Result<Self> {
        let fault = |message: String| Error::Folder { path: folder.to_owned(), message };
        if !folder.is_dir() {
            return Err(fault(no_folder(folder)));
        }
        let find = |names: &[&str]| names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let (config, tokenizer) = (find(&["config.json"]), find(&["tokenizer.json", "tokenizer.model"]));
        match (config, tokenizer) {
            (Some(config), Some(tokenizer)) => Ok(Self {
                config,
                tokenizer,
                generation: find(&["generation_config.json"]),
                model: find(&MODELS).or_else(|| numbered(folder)),
                connector: find(&CONNECTORS),
                toml: find(&["zoo.toml"]),
            }),
            (config, _) if config.is_none() && adapter(folder).is_some() => {
                Err(fault(adapter(folder).unwrap_or_default()))
            }
            (config, tokenizer) => {
                let mut missing = Vec::new();
                if config.is_none() {
                    missing.push("config.json");
                }
                if tokenizer.is_none() {
                    missing.push("tokenizer.json (or tokenizer.model)");
                }
                Err(fault(format!(
                    "this is no model folder: it lacks {}. A released checkpoint is downloaded as a whole folder",
                    missing.join(" and ")
                )))
            }
        }
    }
}

/// The folder itself, if it holds parts of a checkpoint without an index (`model-00001-of-00002.safetensors`).
fn numbered(folder: &Path) -> Option<PathBuf> {
    let part = |name: &str| {
        let front = name.strip_suffix(".safetensors").or_else(|| name.strip_suffix(".bin"));
        front.is_some_and(|front| MODELS.iter().any(|model| is_part_of(front, model)))
    };
    let mut names = std::fs::read_dir(folder).ok()?.flatten();
    names.any(|entry| entry.file_name().to_str().is_some_and(part)).then(|| folder.to_owned())
}

/// `model-00001-of-00002` is a part of `model.safetensors`.
fn is_part_of(front: &str, model: &str) -> bool {
    let stem = model.split('.').next().unwrap_or(model);
    front.strip_prefix(stem).is_some_and(|rest| rest.starts_with('-') && rest.contains("-of-"))
}

/// What is wrong with a folder that is none.
fn no_folder(path: &Path) -> String {
    const MODEL: &str = "a model is a folder with config.json, a tokenizer and weights";
    let is = |end: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(end));
    if !path.exists() {
        return format!("there is no such folder; {MODEL}");
    }
    if is("gguf") {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return format!(
            "this is a GGUF file, which holds the language model alone; {MODEL}. Put it into that folder, write into its \
             zoo.toml `[llm]` and below it `weights = \"{name}\"`, and give the folder"
        );
    }
    format!("this is a file; {MODEL}: give the folder")
}

/// A file that holds a JSON object.
pub(crate) fn object(path: &Path) -> Result<Map<String, Value>> {
    match json::read(path)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::file(path, "this is JSON, but no object of keys and values")),
    }
}
