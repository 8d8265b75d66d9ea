//! Templates against prompts spelled out by `golden/make.py`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod support;

use std::collections::BTreeSet;

use serde::Deserialize;
use zoo_language::template::{Conversation, Role, Template};

#[derive(Deserialize)]
struct Case {
    template: String,
    turns: support::Turns,
    /// Text, and whether it is trained.
    parts: Vec<(String, bool)>,
}

#[test]
fn prompts_are_equal_byte_for_byte() {
    let mut seen = BTreeSet::new();
    for case in support::cases::<Case>("templates.json") {
        let rendered = Template::named(&case.template).unwrap().render(&case.turns.conversation()).unwrap();
        let expected: String = case.parts.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(rendered.text(), expected, "{}", case.template);

        // Training marks per byte, so that the cut into segments does not matter.
        let ours: Vec<_> = rendered.segments.iter().flat_map(|s| vec![s.trained; s.text().len()]).collect();
        let theirs: Vec<_> = case.parts.iter().flat_map(|(text, t)| vec![*t; text.len()]).collect();
        assert!(ours == theirs, "{}: other bytes are trained: {:?}", case.template, rendered.segments);
        seen.insert(rendered.template.name);
    }
    let all: BTreeSet<_> = Template::all().iter().map(|t| t.name).collect();
    assert_eq!(seen, all, "every template has a golden case");
}

#[test]
fn names_are_unambiguous_and_tell_their_neighbours() {
    let names: Vec<_> = Template::all()
        .iter()
        .flat_map(|t| std::iter::once(t.name).chain(t.aliases.iter().copied()))
        .collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert_eq!(Template::named("llama_v3").unwrap().name, "llama_3");
    assert!(Template::named("lama_3").unwrap_err().to_string().contains("did you mean `llama_3`?"));
    assert!(Template::named("something else").unwrap_err().to_string().contains("vicuna_v1, chatml_direct"));
}

#[test]
fn released_models_have_their_template() {
    for (model, template) in [
        ("nyu-visionx/cambrian-8b", "llama_3"),
        ("cambrian-13b", "vicuna_v1"),
        ("cambrian-34b", "chatml_direct"),
        ("cambrian-phi3-3b", "phi3"),
        ("liuhaotian/llava-v1.5-7b", "vicuna_v1"),
    ] {
        assert_eq!(Template::of_released_model(model).unwrap().name, template);
    }
    assert_eq!(Template::of_released_model("cambrian-9b"), None);
}

#[track_caller]
fn refused(template: &str, conversation: &Conversation, message: &str) {
    let error = Template::named(template).unwrap().render(conversation).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn what_cannot_be_written_is_refused() {
    refused("llama_3", &Conversation::new(), "nothing has been asked");
    let mut conversation = Conversation::new().with_system("See <image>.");
    conversation.ask("What?").unwrap();
    refused("llama_3", &conversation, "stands in the system text");
    let mut conversation = Conversation::new().with_system("Be brief.");
    conversation.ask_about_image("What?").unwrap();
    refused("plain", &conversation, "no place for a system text");
    let mut open = Conversation::new();
    open.ask_about_image("What?").unwrap();
    refused("plain", &open, "would leave out the question `What?`");
    conversation.answer("<image>").unwrap();
    refused("vicuna_v1", &conversation, "stands in an answer");
}

#[test]
fn a_system_text_replaces_the_default() {
    let mut conversation = Conversation::new().with_system("Be brief.");
    conversation.ask_about_image("What?").unwrap();
    let rendered = Template::named("v1").unwrap().render(&conversation).unwrap();
    assert_eq!(rendered.text(), "Be brief. USER: <image>\nWhat? ASSISTANT:");
    assert_eq!(rendered.images(), 1);
    let roles: Vec<_> = rendered.segments.iter().map(|s| s.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::User, Role::User, Role::Assistant]);
}
