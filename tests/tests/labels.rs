//! Ids and labels of training records, against those that the released code was trained on in
//! `tests/reference/released.py`. Loss and gradients stand in the same files, for whoever computes them.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::fs;

use serde_json::Value;
use zoo_language::template::{Conversation, Template};
use zoo_language::tokens::{NewlineAfterImage, Tokenizer};

fn numbers(value: &Value) -> Vec<i64> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn ids_and_labels_are_the_references() {
    let mut families = 0;
    for entry in fs::read_dir(support::checkpoints()).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(folder.join("released-loss.json")) else { continue };
        let golden: Value = serde_json::from_str(&text).unwrap();
        let tokenizer = Tokenizer::open(&folder).unwrap();
        let template = Template::named(golden["template"].as_str().unwrap()).unwrap();
        let mut trained = 0;
        for record in golden["records"].as_array().unwrap() {
            let label = format!("{}: {}", folder.display(), record["question"]);
            let question = record["question"].as_str().unwrap();
            let mut conversation = Conversation::new();
            if record["image"].is_null() {
                conversation.ask(question).unwrap();
            } else {
                conversation.ask_about_image(question).unwrap();
            }
            conversation.answer(record["answer"].as_str().unwrap()).unwrap();
            let rendered = template.render(&conversation).unwrap();
            // Training never drops what follows the image.
            let got = tokenizer.encode(&rendered, NewlineAfterImage::Keep).unwrap();
            assert_eq!(got.ids, numbers(&record["input_ids"]), "{label}: ids");
            assert_eq!(got.labels, numbers(&record["labels"]), "{label}: labels");
            trained += got.trained();
        }
        assert_eq!(trained as u64, golden["trained_tokens"].as_u64().unwrap());
        families += 1;
    }
    assert_eq!(families, 6);
}
