//! Texts for the text towers of image–text models.

use std::path::Path;

use tokenizers::{TruncationDirection, TruncationParams, TruncationStrategy};

use super::folder::fail;
use crate::{Error, Result};

/// What is done to a text before it is cut into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cleaning {
    /// Nothing but what the tokenizer does itself.
    #[default]
    Nothing,
    /// Lower case.
    Lower,
    /// Lower case, without ASCII punctuation, `_` and all white space as single spaces: `canonicalize` of big_vision, with
    /// which SigLIP was trained, as open_clip has it. Damaged text is not mended first, as open_clip does it by `ftfy`.
    Canonical,
}

impl Cleaning {
    /// The text after it.
    pub fn apply(self, text: &str) -> String {
        match self {
            Self::Nothing => text.to_owned(),
            Self::Lower => text.to_lowercase(),
            Self::Canonical => {
                let spaced = text.replace('_', " ");
                let plain: String = spaced.chars().filter(|c| !c.is_ascii_punctuation()).collect();
                plain.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// What a text tower asks of its ids.
#[derive(Debug, Clone, Default)]
pub struct TextRules {
    /// The most tokens of a text, those that begin and end it included.
    pub context: usize,
    /// The token that every text is filled up with to `context`; without one a text is as long as it is.
    pub pad: Option<String>,
    /// The token that ends a text, where the tokenizer adds none.
    pub end: Option<String>,
    /// What is done to a text first.
    pub clean: Cleaning,
}

/// A tokenizer that begins, ends, cuts and fills texts up as a text tower wants them. What is too long loses its last words,
/// never the tokens that end it.
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    inner: tokenizers::Tokenizer,
    rules: TextRules,
    pad: Option<u32>,
    end: Option<u32>,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::TokenizerFile`] when it is missing, is no tokenizer, or lacks a token that `rules` name.
    pub fn from_file(path: impl AsRef<Path>, rules: TextRules) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| fail(path, error.to_string()))?;
        let standard = zoo_core::json::standard(&bytes).map_err(|message| fail(path, message))?;
        let mut inner = tokenizers::Tokenizer::from_bytes(standard)
            .map_err(|error| fail(path, format!("this is no tokenizer.json that can be used: {error}")))?;
        let id = |token: &Option<String>| match token {
            None => Ok(None),
            Some(token) => match inner.token_to_id(token) {
                Some(id) => Ok(Some(id)),
                None => Err(fail(path, format!("it has no token `{token}`, which the registry row names"))),
            },
        };
        let (pad, end) = (id(&rules.pad)?, id(&rules.end)?);
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| fail(path, error.to_string()))?;
        // What the tokenizer ends a text with itself it also keeps when it cuts one.
        let whole = inner.encode("a", true).map_err(|error| fail(path, error.to_string()))?;
        let end = end.filter(|end| whole.get_ids().last() != Some(end));
        let room = rules.context.saturating_sub(usize::from(end.is_some()));
        let truncation = TruncationParams {
            direction: TruncationDirection::Right,
            max_length: room,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        inner.with_truncation(Some(truncation)).map_err(|error| fail(path, error.to_string()))?;
        Ok(Self { inner, rules, pad, end })
    }

    /// Ids of a text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let cleaned = self.rules.clean.apply(text);
        let encoding = self.inner.encode(cleaned, true);
        let encoding = encoding.map_err(|error| Error::Tokenizer(format!("{text:?}: {error}")))?;
        let mut ids = encoding.get_ids().to_vec();
        ids.extend(self.end);
        if let Some(pad) = self.pad {
            ids.resize(self.rules.context, pad);
        }
        Ok(ids)
    }

    /// Ids of several texts, of one length: the shorter ones end in repetitions of their last token, the end of a text, of
    /// which the first one counts.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn batch(&self, texts: &[impl AsRef<str>]) -> Result<Vec<Vec<u32>>> {
        let mut rows = texts.iter().map(|text| self.ids(text.as_ref())).collect::<Result<Vec<_>>>()?;
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        for row in &mut rows {
            let last = row.last().copied().unwrap_or(0);
            row.resize(longest, last);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cleaning: Cleaning, text: &str, expected: &str) {
        assert_eq!(cleaning.apply(text), expected);
    }

    #[test]
    fn texts_are_cleaned() {
        check(Cleaning::Nothing, "A  Cat!", "A  Cat!");
        check(Cleaning::Lower, "Ein ÄRGER, ΣΟΦΟΣ", "ein ärger, σοφος");
        check(Cleaning::Canonical, "  It's a_red-car!\tNOW\n", "its a redcar now");
        check(Cleaning::Canonical, "«Été» 😀 100%", "«été» 😀 100");
    }
}
