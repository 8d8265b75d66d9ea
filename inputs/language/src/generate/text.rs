//! Text out of tokens that may end in the middle of a character.

use crate::Result;
use crate::tokens::Tokenizer;

/// Decodes a growing list of ids. Decoders look at neighbours (spaces at the beginning, runs of bytes), so each
/// step decodes from the piece before on and gives what is new.
pub(super) struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    /// Start of the piece that was given last.
    context: usize,
    /// Ids before this one have been given.
    given: usize,
}

impl<'a> TextStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, ids: Vec::new(), context: 0, given: 0 }
    }

    /// The text that is certain after one more token; empty while a character is incomplete.
    pub(super) fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let piece = self.pending()?;
        // An incomplete character, or a real U+FFFD: the next token tells.
        if piece.is_empty() || piece.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        (self.context, self.given) = (self.given, self.ids.len());
        Ok(piece)
    }

    /// What was held back; bytes that form no character are U+FFFD.
    pub(super) fn finish(self) -> Result<String> {
        self.pending()
    }

    fn pending(&self) -> Result<String> {
        let before = self.tokenizer.decode(&self.ids[self.context..self.given])?;
        let now = self.tokenizer.decode(&self.ids[self.context..])?;
        match now.strip_prefix(&before) {
            Some(piece) => Ok(piece.to_owned()),
            // Bytes that spoil the characters before them: those have been given and stay.
            None => self.tokenizer.decode(&self.ids[self.given..]),
        }
    }
}

/// Takes away the white space before a text that comes in pieces: answers begin with a space in some templates.
#[derive(Debug, Default)]
pub struct Trimmed {
    begun: bool,
}

impl Trimmed {
    /// What is left of the next piece.
    pub fn push<'a>(&mut self, piece: &'a str) -> &'a str {
        let piece = if self.begun { piece } else { piece.trim_start() };
        self.begun |= !piece.is_empty();
        piece
    }
}
