//! What the commands that ask a model share: opening it, and what is recorded of it.

use serde_json::{Value, json};
use zoo_host::{ModelSession, Zoo};
use zoo_language::template::Conversation;

use crate::args::{AnswerArgs, ModelArgs};
use zoo_terminal::{CliError, Context, ModelPhases};

/// From here on the memory plan is worth reading before it is used.
const LARGE: u64 = 1 << 30;

/// Opens the model: first what it needs is said, then it is loaded.
pub(super) fn open(zoo: &Zoo, args: &ModelArgs, context: &Context<'_>) -> Result<ModelSession, CliError> {
    let request = args.request();
    let plan = zoo.plan_model(&request)?;
    if plan.needed() >= LARGE {
        context.note(&format!("memory of {}\n{plan}", plan.model));
    }
    let session = zoo.model(&request, &ModelPhases::new(context))?;
    for warning in &session.release().warnings {
        context.note(&format!("warning: {warning}"));
    }
    if session.untrained() {
        context.note(&format!(
            "warning: encoders of {} are UNTRAINED: their weights are random numbers from a fixed seed",
            session.id()
        ));
    }
    Ok(session)
}

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
