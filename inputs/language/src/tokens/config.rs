//! What a model folder says about its tokenizer beside the vocabulary: `tokenizer_config.json`,
//! `added_tokens.json`, `chat_template.jinja`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::AddedToken;

use crate::{Error, Result};

/// The fields of `tokenizer_config.json` that matter here; all others are passed over.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct TokenizerConfig {
    /// Begin-of-text.
    #[serde(default)]
    pub bos_token: Option<SpecialToken>,
    /// End-of-text, which ends an answer.
    #[serde(default)]
    pub eos_token: Option<SpecialToken>,
    /// What stands for unknown text.
    #[serde(default)]
    pub unk_token: Option<SpecialToken>,
    /// What fills rows of a batch.
    #[serde(default)]
    pub pad_token: Option<SpecialToken>,
    /// Whether begin-of-text goes before a text. SentencePiece models of this file's time do so by default.
    #[serde(default)]
    pub add_bos_token: Option<bool>,
    /// Whether SentencePiece's dummy space also follows special tokens, as it once did and by default still does.
    #[serde(default)]
    pub legacy: Option<bool>,
    /// How the model's makers write conversations.
    #[serde(default)]
    pub chat_template: Option<ChatTemplateSource>,
    #[serde(default)]
    added_tokens_decoder: BTreeMap<String, AddedRow>,
}

/// A token, by its text or with its rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum SpecialToken {
    /// Its text.
    Text(String),
    /// Its text among rules that `added_tokens_decoder` has too.
    Object {
        /// Its text.
        content: String,
    },
}

impl SpecialToken {
    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Object { content: text } => text,
        }
    }
}

/// One template, or several by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum ChatTemplateSource {
    /// The one that there is.
    One(String),
    /// For several uses; `default` is the one for conversations.
    Named(Vec<NamedTemplate>),
}

/// A template for one use.
#[derive(Debug, Clone, Deserialize)]
pub struct NamedTemplate {
    /// `default`, `tool_use`, `rag`.
    pub name: String,
    /// Jinja.
    pub template: String,
}

impl ChatTemplateSource {
    /// The template for conversations.
    pub fn conversation(&self) -> Option<&str> {
        match self {
            Self::One(text) => Some(text),
            Self::Named(all) => all.iter().find(|t| t.name == "default").map(|t| t.template.as_str()),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
struct AddedRow {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

/// A token that stands in no vocabulary file, and its id.
pub(super) type Added = (u32, AddedToken);

impl TokenizerConfig {
    /// Reads the `tokenizer_config.json` of a model folder, with the template of `chat_template.jinja` where
    /// there is one; a folder without them leaves everything open.
    ///
    /// # Errors
    /// [`Error::TokenizerFile`] when one is there and cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut config: Self = json(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        if let Some(template) = text(&folder.join("chat_template.jinja"))? {
            config.chat_template = Some(ChatTemplateSource::One(template));
        }
        Ok(config)
    }

    /// Added tokens by ascending id: those of `added_tokens_decoder` and, without rules of their own, those of
    /// `added_tokens.json`.
    ///
    /// # Errors
    /// [`Error::TokenizerFile`] when a file cannot be read or an id is no number.
    pub(super) fn added(&self, folder: &Path) -> Result<Vec<Added>> {
        let path = folder.join("added_tokens.json");
        let mut all = BTreeMap::new();
        for (content, id) in json::<BTreeMap<String, u32>>(&path)?.unwrap_or_default() {
            all.insert(id, AddedToken::from(content, true).normalized(false));
        }
        for (id, row) in &self.added_tokens_decoder {
            let id = id.parse().map_err(|_| Error::TokenizerFile {
                path: folder.join("tokenizer_config.json"),
                message: format!("`added_tokens_decoder` has the key `{id}`, which is no token id"),
            })?;
            let token = AddedToken::from(row.content.clone(), row.special)
                .single_word(row.single_word)
                .lstrip(row.lstrip)
                .rstrip(row.rstrip)
                .normalized(row.normalized);
            all.insert(id, token);
        }
        Ok(all.into_iter().collect())
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(text) = text(path)? else { return Ok(None) };
    let fail = |error: serde_json::Error| Error::TokenizerFile {
        path: path.to_owned(),
        message: format!("this is not the JSON that was expected: {error}"),
    };
    serde_json::from_str(&text).map(Some).map_err(fail)
}

/// A file's text; none without the file.
fn text(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::TokenizerFile { path: path.to_owned(), message: error.to_string() }),
    }
}
