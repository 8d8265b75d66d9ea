//! Opening a model for somebody who watches.

use zoo_host::{ModelSession, Zoo};

use crate::args::ModelArgs;
use crate::{CliError, Context, ModelPhases};

/// From here on the memory plan is worth reading before it is used.
const LARGE: u64 = 1 << 30;

/// Opens the model: first what it needs is said, then it is loaded.
///
/// # Errors
/// Those of [`Zoo::model`].
pub fn open_model(zoo: &Zoo, args: &ModelArgs, context: &Context<'_>) -> Result<ModelSession, CliError> {
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
