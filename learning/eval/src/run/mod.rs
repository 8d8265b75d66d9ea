//! Asking: from questions to stored replies.

mod endpoint;
mod go;
mod manifest;
mod model;
mod store;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use endpoint::{Endpoint, Key, Patience};
pub use go::{Failure, Outcome, Run, Watch};
pub use manifest::{Asking, Choices, Manifest, TaskManifest};
pub use model::{Local, fingerprint};
pub(crate) use store::keep_file;
pub use store::{Held, Shard, Store, hold, keep_task, stored};

use crate::Result;
use crate::dataset::Item;
use crate::rules::Target;

/// A reply and what it replies to: a line of `replies.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The item's number in its task, from 0.
    pub index: u64,
    /// Its id in the data.
    pub id: String,
    /// What was asked, behind the picture.
    pub prompt: String,
    /// The reply, without outer white space.
    pub reply: String,
    /// Why it ended: `stop`, `length`, `context`, `choice`, or what an endpoint says.
    pub finish: String,
    /// Its tokens, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Given answers with their log-likelihoods per token, where one of them was chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<(String, f64)>,
    /// The first 16 hexadecimal digits of SHA-256 of the picture's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// What is right.
    pub target: Target,
    /// What is right after the task's corrections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Target>,
    /// The columns by which scores are given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
}

/// What an answerer says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub finish: String,
    /// Its tokens, where they are known.
    pub tokens: Option<u64>,
    /// Given answers with their log-likelihoods per token.
    pub choices: Vec<(String, f64)>,
}

/// A picture on its way to an answerer.
pub enum Seen {
    /// The bytes of its file.
    File(Vec<u8>),
    /// Decoded, for a model here.
    Decoded(Box<zoo_preprocess::Decoded>),
}

/// Who answers: a model here, or an endpoint.
pub trait Answerer {
    /// Prepares a picture, on another thread and ahead of its turn.
    ///
    /// # Errors
    /// What is wrong with the picture.
    fn prepare(&self, bytes: Vec<u8>) -> Result<Seen, String>;

    /// Answers one question. `picture` is none for those without one and for all when blind.
    ///
    /// # Errors
    /// Why there is no answer; other questions may still have one.
    fn answer(&self, item: &Item, picture: Option<Seen>, asking: &Asking) -> Result<Reply>;

    /// Answers several questions, each as [`Answerer::answer`] answers it by itself.
    fn answer_all(&self, asked: Vec<(&Item, Option<Seen>)>, asking: &Asking) -> Vec<Result<Reply>> {
        asked.into_iter().map(|(item, picture)| self.answer(item, picture, asking)).collect()
    }

    /// How many questions may be under way at once.
    fn at_once(&self) -> usize {
        1
    }

    /// How many questions [`Answerer::answer_all`] is given at a time.
    fn together(&self) -> usize {
        1
    }
}
