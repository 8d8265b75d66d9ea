//! Token ids and labels against the reference's procedure, run by `golden/make.py` on two small tokenizers.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use serde::Deserialize;
use zoo_language::template::{Conversation, Template};
use zoo_language::tokens::{IMAGE_ID, NewlineAfterImage, Tokenizer};

#[derive(Deserialize)]
struct Case {
    tokenizer: String,
    template: String,
    turns: support::Turns,
    newline: String,
    ids: Vec<i64>,
    labels: Vec<i64>,
}

#[test]
fn ids_and_labels_equal_the_reference() {
    for case in support::cases::<Case>("tokens.json") {
        let newline = match case.newline.as_str() {
            "keep" => NewlineAfterImage::Keep,
            _ => NewlineAfterImage::Drop,
        };
        let rendered = Template::named(&case.template).unwrap().render(&case.turns.conversation()).unwrap();
        let ours = support::tokenizer(&case.tokenizer).encode(&rendered, newline).unwrap();
        let what = format!("{} {} {:?}", case.template, case.newline, rendered.text());
        assert_eq!(ours.ids, case.ids, "{what}");
        assert_eq!(ours.labels, case.labels, "{what}");
    }
}

fn question() -> Conversation {
    let mut conversation = Conversation::new();
    conversation.ask_about_image("What is unusual here?").unwrap();
    conversation
}

#[test]
fn the_newline_after_an_image_is_kept_or_dropped() {
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let rendered = Template::named("llama_3").unwrap().render(&question()).unwrap();
    let after = |newline| {
        let tokenized = tokenizer.encode(&rendered, newline).unwrap();
        let at = tokenized.images()[0];
        assert_eq!(tokenized.ids[at], IMAGE_ID);
        assert_eq!(tokenized.trained(), 0);
        u32::try_from(tokenized.ids[at + 1]).unwrap()
    };
    assert_eq!(vec![after(NewlineAfterImage::Keep)], tokenizer.ids("\n").unwrap());
    assert_eq!(after(NewlineAfterImage::Drop), tokenizer.ids("What").unwrap()[0]);
}

#[test]
fn begin_of_text_stands_once() {
    let (bytes, pieces) =
        (support::tokenizer("tokenizer-bytelevel"), support::tokenizer("tokenizer-sentencepiece"));
    assert!(bytes.prefix().is_empty());
    let bos = pieces.id("<s>").unwrap();
    assert_eq!(pieces.prefix(), [bos]);
    for (tokenizer, template, bos) in
        [(&bytes, "llama_3", bytes.id("<|begin_of_text|>").unwrap()), (&pieces, "vicuna_v1", bos)]
    {
        let rendered = Template::named(template).unwrap().render(&question()).unwrap();
        let ids = tokenizer.encode(&rendered, NewlineAfterImage::Keep).unwrap().ids;
        assert_eq!(ids[0], i64::from(bos));
        assert_eq!(ids.iter().filter(|id| **id == i64::from(bos)).count(), 1);
    }
}

#[test]
fn a_stretch_after_an_image_has_its_own_dummy_space() {
    let tokenizer = support::tokenizer("tokenizer-sentencepiece");
    let rendered = Template::named("vicuna_v1").unwrap().render(&question()).unwrap();
    let tokenized = tokenizer.encode(&rendered, NewlineAfterImage::Keep).unwrap();
    let at = tokenized.images()[0];
    let expected = ["▁", "<0x0A>"].map(|token| i64::from(tokenizer.id(token).unwrap()));
    assert_eq!(tokenized.ids[at + 1..at + 3], expected);
}

#[test]
fn a_template_of_another_model_is_refused() {
    let rendered = Template::named("llama_3").unwrap().render(&question()).unwrap();
    let error = support::tokenizer("tokenizer-sentencepiece").encode(&rendered, NewlineAfterImage::Keep);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("template `llama_3` needs `<|begin_of_text|>`, `<|start_header_id|>`"), "{error}");
}

#[test]
fn ids_beyond_the_tokenizer_are_known() {
    let tokenizer = support::tokenizer("tokenizer-bytelevel");
    let length = tokenizer.length();
    assert!(tokenizer.unknown_ids(length as usize).is_empty());
    assert_eq!(tokenizer.unknown_ids(length as usize + 2), [length, length + 1]);
    assert!(tokenizer.unknown_ids(5).is_empty());
}

#[test]
fn a_file_that_is_no_tokenizer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let error = Tokenizer::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json: there is no such file"), "{error}");
    std::fs::write(&path, "{\"model\": 3}").unwrap();
    let error = Tokenizer::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json: this is no tokenizer.json that can be used"), "{error}");
}

/// A byte order mark, and numbers that Python writes and JSON does not have.
#[test]
fn files_that_editors_and_python_wrote_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/tokenizer-bytelevel.json");
    let text = std::fs::read_to_string(golden).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("tokenizer.json", &format!("\u{feff}{text}"));
    write(
        "tokenizer_config.json",
        "\u{feff}{\"model_max_length\": Infinity, \"bos_token\": \"<|begin_of_text|>\"}",
    );
    write("added_tokens.json", "\u{feff}{}");
    let tokenizer = Tokenizer::open(folder.path()).unwrap();
    let expected = support::tokenizer("tokenizer-bytelevel").ids("What is this?").unwrap();
    assert_eq!(tokenizer.ids("What is this?").unwrap(), expected);
    write("tokenizer_config.json", "{\"added_tokens_decoder\": NaN}");
    let error = Tokenizer::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("tokenizer_config.json") && error.contains("NaN"), "{error}");
}
