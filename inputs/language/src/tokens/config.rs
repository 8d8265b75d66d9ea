//! What a model folder says about its tokenizer beside the vocabulary: `tokenizer_config.json`,
//! `added_tokens.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenizers::AddedToken;

use super::folder::fail;
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
    /// What separates texts.
    #[serde(default)]
    pub sep_token: Option<SpecialToken>,
    /// What stands for a whole text.
    #[serde(default)]
    pub cls_token: Option<SpecialToken>,
    /// What stands for hidden text.
    #[serde(default)]
    pub mask_token: Option<SpecialToken>,
    /// What stands for an image.
    #[serde(default)]
    pub image_token: Option<SpecialToken>,
    #[serde(default)]
    extra_special_tokens: Option<ExtraTokens>,
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

/// Special tokens besides, with names or without.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ExtraTokens {
    Named(BTreeMap<String, SpecialToken>),
    #[allow(dead_code, reason = "only their names would matter")]
    Listed(serde_json::Value),
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
    /// The same, as a mapping.
    Mapped(BTreeMap<String, String>),
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
            Self::Mapped(all) => all.get("default").map(String::as_str),
        }
    }

    /// Names of all templates that have one.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::One(_) => Vec::new(),
            Self::Named(all) => all.iter().map(|t| t.name.clone()).collect(),
            Self::Mapped(all) => all.keys().cloned().collect(),
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
    /// Reads the `tokenizer_config.json` of a model folder; a folder without it leaves everything open.
    ///
    /// # Errors
    /// [`Error::TokenizerFile`] when it is there and cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(json(&folder.join("tokenizer_config.json"))?.unwrap_or_default())
    }

    /// Names and texts of the special tokens, as chat templates know them: `bos_token` and so on.
    pub(crate) fn special_tokens(&self) -> Vec<(String, String)> {
        let own = [
            ("bos_token", &self.bos_token),
            ("eos_token", &self.eos_token),
            ("unk_token", &self.unk_token),
            ("sep_token", &self.sep_token),
            ("pad_token", &self.pad_token),
            ("cls_token", &self.cls_token),
            ("mask_token", &self.mask_token),
            ("image_token", &self.image_token),
        ];
        let own = own.into_iter().filter_map(|(name, token)| Some((name, token.as_ref()?)));
        // A list there has no names.
        let extra = match &self.extra_special_tokens {
            Some(ExtraTokens::Named(all)) => Some(all.iter().map(|(name, token)| (name.as_str(), token))),
            _ => None,
        };
        own.chain(extra.into_iter().flatten())
            .map(|(name, token)| (name.to_owned(), token.text().to_owned()))
            .collect()
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

/// What a JSON file holds; none without the file.
pub(crate) fn json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => zoo_core::json::parse(&bytes).map(Some).map_err(|message| fail(path, message)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail(path, error.to_string())),
    }
}

/// A file's text; none without the file.
pub(crate) fn text(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail(path, error.to_string())),
    }
}
