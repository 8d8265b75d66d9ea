//! Any text as the chat template of a model folder: a prompt, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zoo_language::template::{Conversation, Template};

/// Longer ones only take longer.
const LONGEST: usize = 2000;

fuzz_target!(|text: &str| {
    if text.len() > LONGEST {
        return;
    }
    let Ok(folder) = tempfile::tempdir() else { return };
    if std::fs::write(folder.path().join("chat_template.jinja"), text).is_err() {
        return;
    }
    let Ok(template) = Template::of_folder(folder.path()) else { return };
    let mut conversation = Conversation::new();
    let asked = conversation.ask_about_image("What is this?").and_then(|_| conversation.answer("A cat."));
    if asked.and_then(|_| conversation.ask("Why?")).is_err() {
        return;
    }
    if let Ok(rendered) = template.render(&conversation) {
        assert_eq!(rendered.images(), 1);
        let _ = rendered.text();
    }
});
