//! Which files of a folder are what.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::{Error, Result};

/// Names under which a whole language model is saved, best first.
const MODELS: [&str; 4] = [
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
];

/// The connector alone, as connector training saves it.
const CONNECTOR: &str = "mm_projector.bin";

/// Files of a model folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub config: PathBuf,
    pub generation: Option<PathBuf>,
    /// `tokenizer.json`, else `tokenizer.model`.
    pub tokenizer: PathBuf,
    /// Language model and connector in one checkpoint.
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
            let message = if folder.exists() {
                "this is a file; a model is a folder with config.json, a tokenizer and weights"
            } else {
                "there is no such folder"
            };
            return Err(fault(message.into()));
        }
        let find = |names: &[&str]| names.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let (config, tokenizer) = (find(&["config.json"]), find(&["tokenizer.json", "tokenizer.model"]));
        match (config, tokenizer) {
            (Some(config), Some(tokenizer)) => Ok(Self {
                config,
                tokenizer,
                generation: find(&["generation_config.json"]),
                model: find(&MODELS),
                connector: find(&[CONNECTOR]),
                toml: find(&["zoo.toml"]),
            }),
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

/// A file that holds a JSON object.
pub(crate) fn object(path: &Path) -> Result<Map<String, Value>> {
    let text = fs::read_to_string(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::file(path, "this is JSON, but no object of keys and values")),
        Err(error) => Err(Error::file(path, format!("this is no JSON: {error}"))),
    }
}
