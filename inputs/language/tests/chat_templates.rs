//! Chat templates of model folders against transformers (`golden/make_chat.py`).

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use zoo_language::generate::Options;
use zoo_language::template::{Conversation, IMAGE_PLACEHOLDER, SegmentKind, Template};
use zoo_language::tokens::NewlineAfterImage;

#[derive(Deserialize)]
struct Case {
    folder: String,
    /// The token that stands for an image, where content is a list of parts.
    image: Option<String>,
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
                assert!(
                    error.to_string().contains("images are shown, and the prompt that it writes has 0"),
                    "{error}"
                );
                continue;
            }
            (got, expected) => panic!("{}: {got:?}, expected {expected:?}", case.folder),
        };
        let text = case.text.map(|text| match &case.image {
            Some(image) => text.replace(image.as_str(), IMAGE_PLACEHOLDER),
            None => text,
        });
        assert_eq!(Some(rendered.text()), text, "{}", case.folder);
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

#[derive(Deserialize)]
struct Layout {
    files: Vec<String>,
    taken: Option<String>,
}

/// A folder with these files, each of which holds a template that says where it stands and asks `{question}`.
fn laid_out(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, template) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let json = || serde_json::json!({ "chat_template": template }).to_string();
        std::fs::write(path, if name.ends_with(".json") { json() } else { (*template).to_owned() }).unwrap();
    }
    folder
}

#[test]
fn the_template_is_that_of_the_file_that_transformers_takes() {
    for layout in support::cases::<Layout>("chat/files.json") {
        let templates: Vec<String> =
            layout.files.iter().map(|name| format!("{name}: {{{{ messages[0].content }}}}")).collect();
        let files: Vec<(&str, &str)> =
            layout.files.iter().map(String::as_str).zip(templates.iter().map(String::as_str)).collect();
        let folder = laid_out(&files);
        let mut conversation = Conversation::new();
        conversation.ask("Hi").unwrap();
        let rendered = Template::of_folder(folder.path()).and_then(|t| t.render(&conversation));
        match (rendered, layout.taken) {
            (Ok(rendered), Some(taken)) => assert_eq!(rendered.text(), format!("{taken}: Hi")),
            (Err(error), None) => assert!(error.to_string().contains("templates instead"), "{error}"),
            (got, expected) => panic!("{:?}: {got:?}, expected {expected:?}", layout.files),
        }
    }
}

/// What is said when `question` is asked (with an image if it holds a placeholder) of a folder whose template is this.
#[track_caller]
fn refuses(template: &str, system: Option<&str>, question: &str, message: &str) {
    let folder = laid_out(&[("chat_template.jinja", template)]);
    let mut conversation = Conversation::new();
    conversation.ask(question).unwrap();
    if let Some(system) = system {
        conversation = conversation.with_system(system);
    }
    let error = Template::of_folder(folder.path()).unwrap().render(&conversation).unwrap_err().to_string();
    assert!(error.contains("chat_template.jinja") && error.contains(message), "{error}");
}

#[test]
fn a_prompt_without_the_question_is_an_error() {
    refuses("Say something.", None, "Why?", "leaves `Why?` out of the prompt");
    // The last line alone.
    let last = "{{ messages[0].content.split('\\n')[-1] }}";
    refuses(last, None, "The first.\nWhy?", "leaves `The first.` out");
    // Parts of another kind.
    let other =
        "{% for p in messages[0].content | selectattr('kind', 'equalto', 'text') %}{{ p.text }}{% endfor %}";
    refuses(other, None, "Why?", "leaves `Why?` out");
    let only_user = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}";
    refuses(only_user, Some("Be brief."), "Why?", "leaves `Be brief.` out");
    let twice = "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}";
    refuses(twice, None, "<image>\nWhy?", "1 images are shown, and the prompt that it writes has 2");
    let parts = "{% for m in messages %}{% for p in m.content %}{{ p.text or '' }}{% endfor %}{% endfor %}";
    refuses(parts, None, "<image>\nWhy?", "does not tell which of its tokens stands for an image");
}

#[test]
fn a_question_in_other_words_is_no_question_left_out() {
    let folder =
        laid_out(&[("chat_template.jinja", "{{ messages[0].content | tojson(ensure_ascii=true) }}")]);
    let mut conversation = Conversation::new();
    conversation.ask("Où?\n Là! ").unwrap();
    let rendered = Template::of_folder(folder.path()).unwrap().render(&conversation).unwrap();
    assert_eq!(rendered.text(), "\"O\\u00f9?\\n L\\u00e0! \"");
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
    refused(None, None, "there is none (looked for chat_template.jinja");
    refused(
        Some(r#"{"chat_template": [{"name": "rag", "template": "x"}]}"#),
        None,
        "tokenizer_config.json: there are templates called rag, and none called `default`",
    );
    refused(Some(r#"{"chat_template": {"a": "x", "b": "y"}}"#), None, "called a, b, and none");
    refused(Some("{"), None, "tokenizer_config.json: this is no JSON");
    refused(None, Some("{% for m in messages %}"), "chat_template.jinja: unexpected end");
    refused(
        None,
        Some("\n{{ raise_exception('Never.') }}"),
        "chat_template.jinja: Never. (line 2 of the template)",
    );
    refused(None, Some("{{ messages | unheard_of }}"), "unheard_of");
}
