//! The corpus of the fuzz target `chat_template`, as a plain test: templates that cannot be run are refused in words, and
//! none panics or runs without end.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::path::PathBuf;

use zoo_language::template::{Conversation, Template};

#[test]
fn templates_that_mean_harm_are_refused() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/chat_template");
    let mut conversation = Conversation::new();
    conversation.ask_about_image("What is this?").unwrap();
    conversation.answer("A cat.").unwrap();
    conversation.ask("Why?").unwrap();
    let mut refused = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(&path, folder.path().join("chat_template.jinja")).unwrap();
        let rendered = Template::of_folder(folder.path()).and_then(|template| template.render(&conversation));
        match rendered {
            Ok(rendered) => {
                assert!(name.starts_with("whole") || name.starts_with("found-"), "{name} was rendered");
                assert_eq!(rendered.images(), 1);
            }
            Err(error) => {
                assert!(!name.starts_with("whole"), "{name}: {error}");
                assert!(!error.to_string().is_empty());
                refused += usize::from(!name.starts_with("found-"));
            }
        }
    }
    assert!(refused >= 14, "only {refused} bad templates in the corpus");
}
