//! Which file of a model folder holds its chat template, as transformers looks for it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::tokens::{ChatTemplateSource, TokenizerConfig, json, text};
use crate::{Error, Result};

/// A template and the file in which it stands.
pub(super) struct Found {
    pub path: PathBuf,
    pub source: String,
}

/// Files with a key `chat_template`, best first; between the first two and the last stands [`JINJA`].
const PROCESSORS: [&str; 2] = ["processor_config.json", "chat_template.json"];
const JINJA: &str = "chat_template.jinja";
/// Templates of other names than `default`, each in a file of its own.
const NAMED: &str = "additional_chat_templates";
const TOKENIZER: &str = "tokenizer_config.json";

#[derive(Deserialize)]
struct Processor {
    #[serde(default)]
    chat_template: Option<ChatTemplateSource>,
}

/// The template for conversations of a folder: that of its processor, else that of its tokenizer.
///
/// # Errors
/// [`Error::ChatTemplate`] when there is none, or several of which none is the default; [`Error::TokenizerFile`].
pub(super) fn find(folder: &Path, config: &TokenizerConfig) -> Result<Found> {
    for name in PROCESSORS {
        let path = folder.join(name);
        if let Some(Processor { chat_template: Some(source) }) = json(&path)? {
            return chosen(path, &source);
        }
    }
    if let Some(source) = text(&folder.join(JINJA))? {
        return Ok(Found { path: folder.join(JINJA), source });
    }
    let others = others(folder)?;
    let path = folder.join(NAMED).join("default.jinja");
    match text(&path)? {
        Some(source) => return Ok(Found { path, source }),
        None if !others.is_empty() => return Err(no_default(folder.join(NAMED), &others)),
        None => {}
    }
    match &config.chat_template {
        Some(source) => chosen(folder.join(TOKENIZER), source),
        None => Err(Error::ChatTemplate {
            path: folder.to_owned(),
            message: format!(
                "there is none (looked for {JINJA}, and for the key `chat_template` in {}, {} and {TOKENIZER}); name \
                 one of Zoo's own templates instead",
                PROCESSORS[1], PROCESSORS[0]
            ),
        }),
    }
}

fn chosen(path: PathBuf, source: &ChatTemplateSource) -> Result<Found> {
    match source.conversation() {
        Some(source) => Ok(Found { source: source.to_owned(), path }),
        None => Err(no_default(path, &source.names())),
    }
}

fn no_default(path: PathBuf, names: &[String]) -> Error {
    let message = format!(
        "there are templates called {}, and none called `default`, which is the one for conversations; name one of \
         Zoo's own templates instead",
        names.join(", ")
    );
    Error::ChatTemplate { path, message }
}

/// Names of the templates in files of their own, sorted.
fn others(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join(NAMED);
    let Ok(entries) = fs::read_dir(&path) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let file =
            entry.map_err(|e| Error::TokenizerFile { path: path.clone(), message: e.to_string() })?.path();
        if file.extension().is_some_and(|e| e == "jinja") {
            names.extend(file.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}
