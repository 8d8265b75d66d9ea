//! From a rendered conversation to token ids and labels, in one pass.

mod config;
mod encode;
mod folder;
mod sentencepiece;
mod text;
mod tokenizer;

pub use config::{ChatTemplateSource, NamedTemplate, SpecialToken, TokenizerConfig};
pub(crate) use config::{json, text};
pub use encode::{IGNORE_LABEL, IMAGE_ID, NewlineAfterImage, Tokenized};
pub use text::{Cleaning, TextRules, TextTokenizer};
pub use tokenizer::Tokenizer;
