//! Whether an answer is borne out by what the page says.

use serde_json::json;

use super::answers::context;
use super::{Asked, Judged, Shown};
use crate::run::Run;
use crate::{Result, files};

const SYSTEM: &str = "You check teaching material. You are given what an article says about a picture, and a question with its \
answer. The answer is grounded if caption and text bear out everything that it claims, and the question can be answered by \
someone who sees the picture and knows the subject. Answer with one JSON object and nothing else: {\"grounded\": true or false, \
\"why\": \"one short sentence\"}";

pub(crate) fn judge(run: &mut Run<'_>) -> Result<()> {
    let answers = run.made("answers")?;
    run.each("judge", &answers, |run, path| {
        let asked: Asked = files::read(path)?;
        let Some(name) = path.file_name() else { return Ok(()) };
        let judged = run.out().join("judged").join(name);
        if asked.failed.is_some() || judged.exists() {
            return Ok(());
        }
        let shown: Shown = files::read(&run.out().join("shown").join(name))?;
        let user = json!({ "about": context(&shown), "question": asked.question, "answer": asked.answer });
        let said = run.ask_json(SYSTEM, &user.to_string())?;
        let grounded = said["grounded"]
            .as_bool()
            .ok_or_else(|| run.unusable("the judge says neither true nor false"))?;
        let why = said["why"].as_str().unwrap_or_default().to_owned();
        files::write_json(&judged, &Judged { grounded, why })
    })
}
