//! A question and an answer for every picture.

use serde_json::json;

use super::{Asked, Shown};
use crate::run::Run;
use crate::{Result, files};

const SYSTEM: &str = "You write questions for people who learn by looking at pictures. You are given the caption of a picture, \
the text that stands around it in an article, and where the article belongs. Write one question that can be answered from the \
picture together with what you are given, that makes one look closely, and that does not mention the article, the caption or \
the text; and its answer, correct and concise, in full words. Do not claim anything about the picture that neither caption nor \
text says. Answer with one JSON object and nothing else: {\"question\": \"…\", \"answer\": \"…\"}";

/// What a model is told of a picture.
pub(super) fn context(shown: &Shown) -> serde_json::Value {
    json!({
        "image_url": shown.image_url,
        "caption": shown.caption,
        "section": shown.section,
        "text": shown.text,
        "article": shown.title,
        "topic": shown.subject.topic,
        "subfield": shown.subject.subfield,
        "field": shown.subject.field,
    })
}

pub(crate) fn answers(run: &mut Run<'_>) -> Result<()> {
    let pictures = run.made("shown")?;
    run.each("answers", &pictures, |run, path| {
        let shown: Shown = files::read(path)?;
        let path = run.out().join("answers").join(format!("{}.json", shown.id));
        if shown.image.is_none() || path.exists() {
            return Ok(());
        }
        let said = run.ask_json(SYSTEM, &context(&shown).to_string())?;
        let text =
            |key: &str| said[key].as_str().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let asked = match (text("question"), text("answer")) {
            (Some(question), Some(answer)) => Asked { question, answer, failed: None },
            // The same question gives the same answer: it is not asked again.
            _ => {
                let failed = Some("the answer lacks `question` or `answer`".to_owned());
                Asked { question: String::new(), answer: String::new(), failed }
            }
        };
        files::write_json(&path, &asked)
    })
}
