//! A conversation as a file.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use zoo_core::path_text;
use zoo_language::template::Conversation;
use zoo_pipeline::write::{self, Replace};
use zoo_terminal::CliError;

/// Writes the conversation: one JSON record in the format of LLaVA's data sets if the name ends in `.json`,
/// otherwise text.
pub fn save(
    path: &Path,
    replace: Replace,
    conversation: &Conversation,
    image: Option<&Path>,
) -> Result<(), CliError> {
    let is_json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let content =
        if is_json { format!("{:#}\n", record(conversation, image)) } else { text(conversation, image) };
    Ok(write::file(path, replace, |writer| writer.write_all(content.as_bytes()))?)
}

fn record(conversation: &Conversation, image: Option<&Path>) -> Value {
    let mut turns = Vec::new();
    if let Some(system) = conversation.system() {
        turns.push(json!({ "from": "system", "value": system }));
    }
    for turn in conversation.turns() {
        turns.push(json!({ "from": "human", "value": turn.question }));
        if let Some(answer) = &turn.answer {
            turns.push(json!({ "from": "gpt", "value": answer }));
        }
    }
    json!([{ "id": "0", "image": image.map(path_text), "conversations": turns }])
}

fn text(conversation: &Conversation, image: Option<&Path>) -> String {
    let mut out = String::new();
    if let Some(image) = image {
        out.push_str(&format!("Image: {}\n\n", path_text(image)));
    }
    for turn in conversation.turns() {
        let question = turn.question.strip_prefix("<image>\n").unwrap_or(&turn.question);
        out.push_str(&format!("> {question}\n\n"));
        if let Some(answer) = &turn.answer {
            out.push_str(&format!("{answer}\n\n"));
        }
    }
    out
}
