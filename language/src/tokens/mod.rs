//! From a rendered conversation to token ids and labels, in one pass.

mod encode;
mod tokenizer;

pub use encode::{IGNORE_LABEL, IMAGE_ID, NewlineAfterImage, Tokenized};
pub use tokenizer::Tokenizer;
