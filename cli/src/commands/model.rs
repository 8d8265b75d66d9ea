//! What the commands that ask a model share: which settings make sense, and what is recorded of it.

use serde_json::{Value, json};
use zoo_host::ModelSession;
use zoo_language::template::Conversation;
use zoo_terminal::CliError;

use crate::args::AnswerArgs;

/// Whether every setting of the answer means something.
pub(super) fn sensible(answer: &AnswerArgs) -> Result<(), CliError> {
    match answer.idle() {
        None => Ok(()),
        Some(name) => {
            Err(CliError::Usage(format!("{name} means nothing to greedy search; give --temperature above 0")))
        }
    }
}

/// What is recorded about a model.
pub(super) fn metadata(session: &ModelSession) -> Value {
    json!({
        "model": session.id(),
        "template": session.template().name,
        "encoders": session.release().encoders.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(),
        "warnings": session.release().warnings,
        "memory": session.plan(),
        "untrained": session.untrained(),
    })
}

/// A conversation in which nothing was said yet; `system` replaces the template's own instructions.
pub(super) fn begin(system: Option<&str>) -> Conversation {
    match system {
        Some(system) => Conversation::new().with_system(system),
        None => Conversation::new(),
    }
}
