//! Chat templates of model folders against transformers (`golden/make_chat.py`).

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use zoo_language::generate::Options;
use zoo_language::template::{Conversation, SegmentKind, Template};
use zoo_language::tokens::NewlineAfterImage;

#[derive(Deserialize)]
struct Case {
    folder: String,
    system: Option<String>,
    turns: support::Turns,
    text: Option<String>,
    #[serde(default)]
    trained: Vec<String>,
    error: Option<String>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/chat")).join(name)
}

#[test]
fn prompts_equal_those_of_transformers() {
    for case in support::cases::<Case>("chat/cases.json") {
        let mut conversation = case.turns.conversation();
        if let Some(system) = &case.system {
            conversation = conversation.with_system(system);
        }
        let rendered = Template::of_folder(folder(&case.folder)).unwrap().render(&conversation);
        let rendered = match (rendered, &case.error) {
            (Ok(rendered), None) => rendered,
            (Err(error), Some(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
                continue;
            }
            // Such a template leaves the image out, which only we mind.
            (Err(error), None) if case.folder == "as-list" => {
                assert!(error.to_string().contains("1 images are shown"), "{error}");
                continue;
            }
            (got, expected) => panic!("{}: {got:?}, expected {expected:?}", case.folder),
        };
        assert_eq!(Some(rendered.text()), case.text, "{}", case.folder);
        assert_eq!(rendered.images(), 1);
        let trained: Vec<_> = rendered.segments.iter().filter(|s| s.trained).map(|s| s.text()).collect();
        assert_eq!(trained, case.trained, "{}", case.folder);
    }
}

#[test]
fn a_template_that_rewrites_answers_is_used_and_trains_nothing() {
    let mut conversation = Conversation::new();
    conversation.ask("Why?").unwrap();
    conversation.answer("a\nb?").unwrap();
    let rendered = Template::of_folder(folder("as-list")).unwrap().render(&conversation).unwrap();
    assert_eq!(rendered.text(), "1:U Why!\n2:A b!\n");
    assert!(rendered.segments.iter().all(|s| !s.trained && s.kind != SegmentKind::Image));
}

#[test]
fn answers_end_with_the_mark_that_the_template_writes() {
    for (name, stops) in [
        ("llama-3", &["<|eot_id|>"][..]),
        ("gemma", &["<end_of_turn>", "<eos>"]),
        ("mistral", &["</s>"]),
        ("phi-3", &["<|end|>", "<|endoftext|>"]),
    ] {
        assert_eq!(Options::of(Template::of_folder(folder(name)).unwrap()).stop_strings, stops);
    }
}

#[test]
fn a_folder_is_kept_once() {
    let open = || Template::of_folder(folder("qwen2")).unwrap();
    assert!(std::ptr::eq(open(), open()));
}

#[test]
fn begin_of_text_is_the_templates_affair() {
    let tokenizer = support::tokenizer("tokenizer-sentencepiece");
    let mut conversation = Conversation::new();
    conversation.ask_about_image("Hi").unwrap();
    let rendered = Template::of_folder(folder("mistral")).unwrap().render(&conversation).unwrap();
    let ids = tokenizer.encode(&rendered, NewlineAfterImage::Keep).unwrap().ids;
    let bos = i64::from(tokenizer.id("<s>").unwrap());
    assert_eq!((ids[0], ids.iter().filter(|id| **id == bos).count()), (bos, 1));
    let error = Template::of_folder(folder("qwen2")).unwrap().render(&conversation).unwrap();
    let error = tokenizer.encode(&error, NewlineAfterImage::Keep).unwrap_err().to_string();
    assert!(error.contains("`chat_template` needs `<|im_end|>`"), "{error}");
}

#[track_caller]
fn refused(config: Option<&str>, jinja: Option<&str>, message: &str) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("tokenizer_config.json", config), ("chat_template.jinja", jinja)] {
        if let Some(text) = text {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
    }
    let error = Template::of_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn a_template_that_is_missing_or_wrong_is_named() {
    refused(None, None, "tokenizer_config.json: there is none; name one of Zoo's own templates");
    refused(Some(r#"{"chat_template": [{"name": "rag", "template": "x"}]}"#), None, "there is none");
    refused(Some("{"), None, "not the JSON that was expected");
    refused(None, Some("{% for m in messages %}"), "line 1 of the template");
    refused(None, Some("\n{{ raise_exception('Never.') }}"), "Never. (line 2 of the template)");
    refused(None, Some("{{ messages | unheard_of }}"), "unheard_of");
}
