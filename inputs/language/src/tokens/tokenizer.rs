//! A tokenizer that adds nothing by itself.

use std::path::Path;

use tokenizers::AddedToken;
use tokenizers::processors::PostProcessorWrapper;

use super::encode::{NewlineAfterImage, Tokenized, encode};
use super::folder::fail;
use crate::template::{Rendered, Template};
use crate::{Error, Result};

/// The tokenizer of a language model.
///
/// What the file would add around a text (begin-of-text) is found out at load and then left to
/// [`Tokenizer::encode`], because a prompt with images is tokenised in several pieces and only the first may get
/// it. Truncation and padding that the file may ask for are switched off.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    prefix: Vec<u32>,
    length: u32,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::TokenizerFile`] when it is missing or no tokenizer.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| Error::TokenizerFile {
            path: path.to_owned(),
            message: match error.kind() {
                std::io::ErrorKind::NotFound => {
                    "there is no such file; a model folder needs its tokenizer.json beside the weights".into()
                }
                _ => error.to_string(),
            },
        })?;
        Self::from_bytes(path, &bytes)
    }

    /// Reads the content of a `tokenizer.json`; `origin` is what errors call it.
    ///
    /// # Errors
    /// [`Error::TokenizerFile`] when it is no tokenizer.
    pub fn from_bytes(origin: impl AsRef<Path>, bytes: &[u8]) -> Result<Self> {
        let origin = origin.as_ref();
        let standard = zoo_core::json::standard(bytes).map_err(|message| fail(origin, message))?;
        let inner = tokenizers::Tokenizer::from_bytes(standard)
            .map_err(|error| fail(origin, format!("this is no tokenizer.json that can be used: {error}")))?;
        let prefix = automatic_prefix(&inner).map_err(|error| fail(origin, error.to_string()))?;
        Self::from_parts(origin, inner, prefix)
    }

    /// A tokenizer that leaves `prefix` to [`Tokenizer::encode`].
    pub(super) fn from_parts(
        origin: &Path,
        mut inner: tokenizers::Tokenizer,
        prefix: Vec<u32>,
    ) -> Result<Self> {
        inner.with_truncation(None).map_err(|error| fail(origin, error.to_string()))?.with_padding(None);
        // It would also trim the offsets that labels are read from.
        inner.with_post_processor(None::<PostProcessorWrapper>);
        match length(&inner) {
            0 => Err(fail(origin, "the vocabulary is empty")),
            length => Ok(Self { inner, prefix, length }),
        }
    }

    /// One more token, whose id must come out as `id`.
    pub(super) fn add(&mut self, origin: &Path, id: u32, token: AddedToken) -> Result<()> {
        let content = token.content.clone();
        self.inner.add_tokens([token]).map_err(|error| fail(origin, error.to_string()))?;
        self.length = length(&self.inner);
        match self.id(&content) {
            Some(got) if got == id => Ok(()),
            _ => Err(fail(
                origin,
                format!("the added token `{content}` should have the id {id}, but another one comes next"),
            )),
        }
    }

    /// One more than the highest id.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// What the file puts before a text by itself: begin-of-text, or nothing.
    pub fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// The id of exactly this token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of exactly this id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Ids below `vocab`, the rows of a model's head, that stand for no token. They were never trained and must
    /// never be generated: embedding tables are often padded to a round number.
    pub fn unknown_ids(&self, vocab: usize) -> Vec<u32> {
        let vocab = u32::try_from(vocab).unwrap_or(u32::MAX);
        let holes = (0..self.length.min(vocab)).filter(|&id| self.inner.id_to_token(id).is_none());
        holes.chain(self.length.min(vocab)..vocab).collect()
    }

    /// Ids of a text by itself, with nothing added. SentencePiece tokenizers begin it with their dummy space.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.spans(text)?.into_iter().map(|(id, _)| id).collect())
    }

    /// As [`Tokenizer::ids`], each with the byte of `text` at which it begins.
    pub(super) fn spans(&self, text: &str) -> Result<Vec<(u32, usize)>> {
        let encoding =
            self.inner.encode(text, false).map_err(|error| Error::Tokenizer(format!("{text:?}: {error}")))?;
        Ok(encoding.get_ids().iter().copied().zip(encoding.get_offsets().iter().map(|o| o.0)).collect())
    }

    /// The text of `ids` without special tokens. Bytes that form no character become U+FFFD.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|error| Error::Tokenizer(error.to_string()))
    }

    /// Ids and labels of a rendered conversation. Each stretch between images is tokenised by itself, as the
    /// reference does, and labels follow from the segments that the tokens begin in.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the template's special tokens are not in the vocabulary, [`Error::Tokenizer`].
    pub fn encode(&self, rendered: &Rendered, newline: NewlineAfterImage) -> Result<Tokenized> {
        self.fits(rendered.template)?;
        encode(self, rendered, newline)
    }

    /// Whether the template's special tokens are tokens here.
    ///
    /// # Errors
    /// [`Error::Mismatch`] naming those that are not.
    pub fn fits(&self, template: &Template) -> Result<()> {
        let missing: Vec<_> =
            template.tokens.iter().filter(|t| self.id(t).is_none()).map(|t| format!("`{t}`")).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::Mismatch { template: template.name, missing: missing.join(", ") })
    }
}

/// One more than the highest id.
fn length(tokenizer: &tokenizers::Tokenizer) -> u32 {
    tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id + 1)
}

/// What the post-processor puts before a text.
fn automatic_prefix(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<Vec<u32>> {
    let (bare, full) = (tokenizer.encode("a", false)?, tokenizer.encode("a", true)?);
    let (bare, full) = (bare.get_ids(), full.get_ids());
    let start = full.windows(bare.len().max(1)).position(|w| w == bare).unwrap_or(0);
    Ok(full[..start].to_vec())
}
