//! Texts of text towers, against `open_clip` and `sentencepiece`; `texts/make.py` made the small tokenizers and the ids.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use serde::Deserialize;
use zoo_language::tokens::{Cleaning, TextRules, TextTokenizer};

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

#[track_caller]
fn check(name: &str, rules: TextRules) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/texts");
    let read = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&read).unwrap();
    let tokenizer = TextTokenizer::from_file(folder.join(format!("{name}.tokenizer.json")), rules).unwrap();
    assert!(cases.len() > 15);
    for Case { text, ids } in cases {
        assert_eq!(tokenizer.ids(&text).unwrap(), ids, "{name}: {text:?}");
    }
}

fn clip() -> TextRules {
    TextRules { context: 77, clean: Cleaning::Lower, ..TextRules::default() }
}

#[test]
fn clip_as_open_clip() {
    check("clip", clip());
}

#[test]
fn siglip_as_sentencepiece_after_canonicalize() {
    let token = Some("</s>".to_owned());
    check("siglip", TextRules { context: 64, pad: token.clone(), end: token, clean: Cleaning::Canonical });
}

#[test]
fn rows_have_one_length_and_unknown_tokens_are_named() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/texts/clip.tokenizer.json");
    let tokenizer = TextTokenizer::from_file(&folder, clip()).unwrap();
    let rows = tokenizer.batch(&["a cat", "a photo of a dog"]).unwrap();
    let [short, long] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(short.len(), long.len());
    assert_eq!(short.last(), long.last());
    let rules = TextRules { pad: Some("<nothing>".into()), ..clip() };
    let message = TextTokenizer::from_file(&folder, rules).err().unwrap().to_string();
    assert!(message.contains("no token `<nothing>`"), "{message}");
}
