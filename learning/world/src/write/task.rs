//! Questions of held-out scenes as rows, and the task files that ask them.

use serde_json::{Value, json};

use super::llava::{LETTER, SHORT, letter, options};
use crate::ask::Question;
use crate::truth::Truth;

/// A row for each question: columns are those of CV-Bench where both have them.
pub(super) fn rows(truth: &Truth, questions: &[Question], image: &str) -> Vec<Value> {
    let row = |(i, question): (usize, &Question)| {
        let list = options(question, true);
        json!({
            "id": format!("{}-{i}", truth.name),
            "kind": question.ask.kind(),
            "picture": truth.kind.word(),
            "image": image,
            "question": question.text,
            "choices": question.choices,
            "answer": format!("({})", letter(question.correct)),
            "text": question.answer(),
            "prompt": format!("{} Select from the following choices.\n{list}", question.text),
            "ask": question.ask,
        })
    };
    questions.iter().enumerate().map(row).collect()
}

/// Task files by name: choices judged by letter, and short answers judged by text.
pub(super) fn files() -> [(&'static str, String); 2] {
    let common = "groups = [\"kind\", \"picture\"]\nid = \"id\"\nnote = \"Drawn by the synthetic world; training scenes are \
                  others by construction.\"\n";
    [
        (
            "world-choices.toml",
            format!(
                "name = \"world-choices\"\ntitle = \"The world, choices\"\nprompt = \"{{{{ prompt }}}}\"\n\
                 suffix = \"{LETTER}\"\n{common}\n[source]\nfiles = [\"questions.jsonl\"]\n\n[image]\ncolumn = \"image\"\n\n\
                 [options]\ncolumn = \"choices\"\n\n[answer]\ncolumn = \"answer\"\nform = \"letter\"\n\n[rules]\n\
                 paper = \"mcq-option\"\n\n[generation]\nmax-new-tokens = 16\n"
            ),
        ),
        (
            "world-short.toml",
            format!(
                "name = \"world-short\"\ntitle = \"The world, short answers\"\nprompt = \"{{{{ question }}}}\"\n\
                 suffix = \"{SHORT}\"\n{common}\n[source]\nfiles = [\"questions.jsonl\"]\n\n[image]\ncolumn = \"image\"\n\n\
                 [answer]\ncolumn = \"text\"\nform = \"text\"\n\n[rules]\npaper = \"equal\"\n\n[generation]\n\
                 max-new-tokens = 16\n"
            ),
        ),
    ]
}
