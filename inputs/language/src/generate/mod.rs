//! From a prompt to an answer.
//!
//! [`Assembled`] puts image tokens among text embeddings, [`Generator`] writes one answer after them, and
//! [`Generator::log_likelihoods`] asks instead how probable given answers are. [`Generator::run_batch`] answers
//! several prompts at once, [`Generator::beam_search`] looks for the most probable answers, and a [`Dialogue`] reads
//! of each prompt only what the one before did not have.

mod assemble;
mod batch;
mod beam;
mod choice;
mod dialogue;
mod run;
mod stop;
mod text;
mod writing;

use std::sync::atomic::AtomicBool;

pub use assemble::Assembled;
pub use beam::{Beams, Hypothesis};
pub use dialogue::{Dialogue, Prompt, Reading};
pub use run::Generator;
pub use text::Trimmed;

use crate::sampling::Sampling;
use crate::template::Template;

/// How an answer is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How each token is chosen.
    pub sampling: Sampling,
    /// Most tokens to write, the one that stops included.
    pub max_new_tokens: usize,
    /// Texts that end the answer and are not part of it. Where one is a token, the token ends it too: special
    /// tokens never show in the text.
    pub stop_strings: Vec<String>,
    /// Tokens that end the answer, usually those of the model's generation configuration.
    pub stop_ids: Vec<u32>,
}

impl Options {
    /// What the reference's inference script does: greedy, at most 512 tokens, until the template's end mark.
    pub fn of(template: &Template) -> Self {
        Self {
            sampling: Sampling::default(),
            max_new_tokens: 512,
            stop_strings: template.stops.iter().map(|&s| s.to_owned()).collect(),
            stop_ids: Vec::new(),
        }
    }
}

/// How the caller follows an answer.
pub struct Control<'a> {
    /// Set from anywhere to end the answer. Looked at before the prompt is read and before each token; a
    /// [`zoo_core::CallContext`] that is entered ends it between two layers, too.
    pub cancel: &'a AtomicBool,
    /// Receives the text as soon as it is certain: whole characters, and nothing that may turn out to be the
    /// beginning of a stop string.
    pub piece: &'a mut dyn FnMut(&str),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Its tokens, with the one that ended it.
    pub ids: Vec<u32>,
    /// Its text: all pieces joined, without special tokens and stop strings. The reference also strips white
    /// space around it.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// This token came.
    StopId(u32),
    /// This text came.
    StopString(String),
    /// [`Options::max_new_tokens`] are written.
    MaxTokens,
    /// The model has no further position.
    ContextFull,
    /// The caller asked for it.
    Cancelled,
}
