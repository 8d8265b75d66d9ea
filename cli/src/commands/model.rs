//! What the commands that ask a model share: opening it, looking, and how far work has come.

use std::cell::RefCell;

use serde_json::{Value, json};
use zoo_host::{ModelProgress, ModelSession, Phase, Zoo};
use zoo_language::template::Conversation;

use crate::args::{AnswerArgs, ModelArgs};
use zoo_terminal::{CliError, Context, Progress};

/// From here on the memory plan is worth reading before it is used.
const LARGE: u64 = 1 << 30;

/// Opens the model: first what it needs is said, then it is loaded.
pub(super) fn open(zoo: &Zoo, args: &ModelArgs, context: &Context<'_>) -> Result<ModelSession, CliError> {
    let request = args.request();
    let plan = zoo.plan_model(&request)?;
    if plan.needed() >= LARGE {
        context.note(&format!("memory of {}\n{plan}", plan.model));
    }
    let session = zoo.model(&request, &Watched::new(context))?;
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

/// Shows the phases of a model's work as bars.
pub(super) struct Watched<'a, 'c> {
    context: &'a Context<'c>,
    bar: RefCell<Option<Progress>>,
}

impl<'a, 'c> Watched<'a, 'c> {
    pub fn new(context: &'a Context<'c>) -> Self {
        Self { context, bar: RefCell::new(None) }
    }
}

impl ModelProgress for Watched<'_, '_> {
    fn begins(&self, phase: Phase, parts: usize) {
        let what = match phase {
            Phase::Open => "load",
            Phase::Look => "look",
        };
        *self.bar.borrow_mut() = Some(self.context.progress(what, parts as u64));
    }

    fn part(&self, name: &str) {
        if let Some(bar) = &*self.bar.borrow() {
            bar.message(name);
            bar.advance(1);
        }
    }

    fn ends(&self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish();
        }
    }
}
