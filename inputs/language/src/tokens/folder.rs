//! The tokenizer of a model folder, whichever files it is kept in.

use std::path::{Path, PathBuf};

use super::config::{Added, TokenizerConfig};
use super::{Tokenizer, sentencepiece};
use crate::{Error, Result};

impl Tokenizer {
    /// Opens the tokenizer of a model folder: `tokenizer.json`, else SentencePiece's `tokenizer.model`. Tokens
    /// that `tokenizer_config.json` or `added_tokens.json` add are there too, with their ids.
    ///
    /// # Errors
    /// [`Error::TokenizerFile`] when there is neither, or a file cannot be used.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let config = TokenizerConfig::read(folder)?;
        let added = config.added(folder)?;
        let (json, model) = (folder.join("tokenizer.json"), folder.join("tokenizer.model"));
        if json.is_file() {
            return Self::from_bytes(&json, &read(&json)?)?.with_added(&json, &added);
        }
        if model.is_file() {
            return Self::from_sentencepiece(&model, &config, &added);
        }
        Err(fail(
            folder,
            "there is neither tokenizer.json nor tokenizer.model; a model folder needs one of them beside the weights",
        ))
    }

    fn from_sentencepiece(path: &Path, config: &TokenizerConfig, added: &[Added]) -> Result<Self> {
        let legacy = config.legacy.unwrap_or(true);
        let converted = sentencepiece::convert(&read(path)?, added, legacy)
            .map_err(|message| fail(path, format!("this SentencePiece model cannot be used: {message}")))?;
        let wanted = config.add_bos_token.unwrap_or(true);
        let named = config.bos_token.as_ref().and_then(|token| converted.tokenizer.token_to_id(token.text()));
        let prefix = named.or(converted.bos).filter(|_| wanted);
        Self::from_parts(path, converted.tokenizer, prefix.into_iter().collect())
    }

    /// Adds the tokens that the file at `path` does not have yet.
    fn with_added(mut self, path: &Path, added: &[Added]) -> Result<Self> {
        for (id, token) in added {
            match self.id(&token.content) {
                Some(there) if there == *id => {}
                Some(there) => {
                    return Err(fail(
                        path,
                        format!(
                            "`{}` is token {there} here and token {id} in the folder's list of added tokens; \
                         do the files belong together?",
                            token.content
                        ),
                    ));
                }
                None => self.add(path, *id, token.clone())?,
            }
        }
        Ok(self)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| fail(path, error.to_string()))
}

pub(super) fn fail(path: impl Into<PathBuf>, message: impl Into<String>) -> Error {
    Error::TokenizerFile { path: path.into(), message: message.into() }
}
