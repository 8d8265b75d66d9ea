//! `tokenizer.model` files against the `sentencepiece` package (`golden/make_sentencepiece.py`).

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use zoo_language::template::{Conversation, Template};
use zoo_language::tokens::{NewlineAfterImage, Tokenizer};

#[derive(Deserialize)]
struct Case {
    folder: String,
    text: String,
    ids: Vec<u32>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/sentencepiece")).join(name)
}

#[test]
fn ids_equal_those_of_the_package() {
    for case in support::cases::<Case>("sentencepiece/cases.json") {
        let tokenizer = Tokenizer::open(folder(&case.folder)).unwrap();
        let tokens: Vec<_> =
            tokenizer.ids(&case.text).unwrap().into_iter().map(|id| (id, tokenizer.token(id))).collect();
        let expected: Vec<_> = case.ids.iter().map(|&id| (id, tokenizer.token(id))).collect();
        assert_eq!(tokens, expected, "{}: {:?}", case.folder, case.text);
    }
}

#[test]
fn texts_equal_those_of_the_package() {
    for case in support::cases::<Case>("sentencepiece/decoded.json") {
        let tokenizer = Tokenizer::open(folder(&case.folder)).unwrap();
        // The package writes ⁇ for what is unknown; here it is a special token, which text leaves out.
        assert_eq!(tokenizer.decode(&case.ids).unwrap(), case.text.replace(" ⁇ ", ""), "{}", case.folder);
    }
}

/// The folder of the model like Llama 2's with another `tokenizer_config.json`.
fn configured(config: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["tokenizer.model", "added_tokens.json"] {
        std::fs::copy(folder("llama").join(file), copy.path().join(file)).unwrap();
    }
    std::fs::write(copy.path().join("tokenizer_config.json"), config).unwrap();
    copy
}

#[test]
fn the_dummy_space_follows_special_tokens_unless_told_otherwise() {
    let config = std::fs::read_to_string(folder("llama").join("tokenizer_config.json")).unwrap();
    let modern = configured(&config.replacen('{', "{\"legacy\": false,", 1));
    let tokenizer = Tokenizer::open(modern.path()).unwrap();
    for case in support::cases::<Case>("sentencepiece/modern.json") {
        assert_eq!(tokenizer.ids(&case.text).unwrap(), case.ids, "{:?}", case.text);
    }
}

#[test]
fn begin_of_text_follows_the_configuration() {
    let prefix = |folder: &Path| Tokenizer::open(folder).unwrap().prefix().to_vec();
    assert_eq!(prefix(&folder("llama")), [1]);
    assert_eq!(prefix(&folder("gemma")), [2], "the model's own, without a configuration");
    assert!(prefix(&folder("t5")).is_empty());
    assert_eq!(prefix(configured(r#"{"bos_token": "</s>"}"#).path()), [2]);
    assert!(prefix(configured(r#"{"add_bos_token": false}"#).path()).is_empty());
}

#[test]
fn a_stretch_after_an_image_has_its_own_dummy_space() {
    let tokenizer = Tokenizer::open(folder("llama")).unwrap();
    let mut conversation = Conversation::new();
    conversation.ask_about_image("What is unusual here?").unwrap();
    let rendered = Template::named("vicuna_v1").unwrap().render(&conversation).unwrap();
    let tokenized = tokenizer.encode(&rendered, NewlineAfterImage::Keep).unwrap();
    let at = tokenized.images()[0];
    let expected = ["▁", "<0x0A>"].map(|token| i64::from(tokenizer.id(token).unwrap()));
    assert_eq!((tokenized.ids[0], &tokenized.ids[at + 1..at + 3]), (1, &expected[..]));
}

#[track_caller]
fn refused(write: &[(&str, &[u8])], message: &str) {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in write {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let error = Tokenizer::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn a_folder_that_has_none_or_a_wrong_one_is_told_what_it_needs() {
    let model = std::fs::read(folder("llama").join("tokenizer.model")).unwrap();
    let json = std::fs::read(folder("../tokenizer-bytelevel.json")).unwrap();
    refused(&[], "neither tokenizer.json nor tokenizer.model");
    refused(
        &[("tokenizer.model", b"IQ== 0\nIg== 1\n")],
        "tokenizer.model: this SentencePiece model cannot be used",
    );
    refused(&[("tokenizer.model", &model[..2000])], "it is damaged");
    refused(
        &[("tokenizer.model", &model), ("tokenizer_config.json", b"{\"bos_token\": 3}")],
        "not the JSON that was expected",
    );
    refused(
        &[("tokenizer.model", &model), ("added_tokens.json", br#"{"<pad>": 5}"#)],
        "`<pad>` should have the id 5, but that is not free",
    );
    refused(
        &[("tokenizer.json", &json), ("added_tokens.json", br#"{"<|eot_id|>": 3}"#)],
        "`<|eot_id|>` is token 424 here and token 3 in the folder's list",
    );
    refused(
        &[("tokenizer.json", &json), ("added_tokens.json", br#"{"<new>": 9999}"#)],
        "`<new>` should have the id 9999",
    );
}

#[test]
fn tokens_are_added_to_a_tokenizer_json() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(self::folder("../tokenizer-bytelevel.json"), folder.path().join("tokenizer.json")).unwrap();
    let length = Tokenizer::open(folder.path()).unwrap().length();
    std::fs::write(folder.path().join("added_tokens.json"), format!("{{\"<new>\": {length}}}")).unwrap();
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    assert_eq!(tokenizer.length(), length + 1);
    assert_eq!(tokenizer.ids("<new>").unwrap(), [length]);
}
