//! What the golden tests share.
#![allow(dead_code, reason = "each test binary uses a part")]

use serde::Deserialize;
use serde::de::DeserializeOwned;
use zoo_language::template::Conversation;
use zoo_language::tokens::Tokenizer;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

/// The cases of a golden file.
pub fn cases<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let text = std::fs::read_to_string(format!("{GOLDEN}/{file}")).unwrap();
    let cases: Vec<T> = serde_json::from_str(&text).unwrap();
    assert!(!cases.is_empty());
    cases
}

pub fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::from_file(format!("{GOLDEN}/{name}.json")).unwrap()
}

/// Questions and answers of a case.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Turns(Vec<(String, Option<String>)>);

impl Turns {
    pub fn conversation(&self) -> Conversation {
        let mut conversation = Conversation::new();
        for (question, answer) in &self.0 {
            conversation.ask(question).unwrap();
            if let Some(answer) = answer {
                conversation.answer(answer).unwrap();
            }
        }
        conversation
    }
}
