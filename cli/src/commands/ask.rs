//! `zoo ask`

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use zoo_core::path_text;
use zoo_host::{HostError, ModelSession, Sight, Zoo};
use zoo_language::generate::{Beams, Control, Finish, Generated, Options, Trimmed};
use zoo_language::template::Conversation;
use zoo_pipeline::find::{Found, Input, find};
use zoo_preprocess::Decoded;

use super::encode::passed_over;
use super::model::{begin, metadata, sensible};
use super::picture;
use super::question::{self, Asked};
use crate::args::{AskArgs, PixelArgs};
use zoo_terminal::{CliError, Context, ModelPhases, Report, counted, interrupt, open_model};

/// How many images are looked at before the language model is loaded, where the encoders have to go for it.
const TOGETHER: usize = 32;

pub(super) fn run(args: &AskArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let Asked { images, question } = question::split(&args.inputs, args.text_only)?;
    sensible(&args.talk.answer)?;
    let Found { inputs, failures: bad, passed } = find(images);
    passed_over(&passed, context);
    if let ([], [bad]) = (inputs.as_slice(), bad.as_slice()) {
        return Err(CliError::Failed(bad.to_string()));
    }
    let mut failures: Vec<Value> =
        bad.iter().map(|bad| fail(&bad.input, &bad.error.to_string(), context)).collect();
    let mut conversation = begin(args.talk.system.as_deref());
    let asked =
        if images.is_empty() { conversation.ask(question) } else { conversation.ask_about_image(question) };
    asked.map_err(HostError::from)?;
    let several = images.len() > 1 || inputs.len() > 1;

    // One image that is wrong is told of before a model is loaded.
    let mut first = None;
    if !several && let Some(input) = inputs.first() {
        first = Some(picture::open(&input.path, &args.talk.model.orientation, context)?);
    }
    if inputs.is_empty() && !images.is_empty() {
        return Err(none_left(failures.len()));
    }
    let zoo = context.computing(&PixelArgs::default())?;
    let session = open_model(&zoo, &args.talk.model, context)?;
    // What is wrong with the question is wrong for every image.
    session.prompt(&conversation)?;
    let asking = Asking { args, context, conversation, several, inputs, stop: interrupt::flag() };
    let mut json = metadata(&session);
    json["question"] = question.into();
    let mut answers = Vec::new();
    let cancelled = if images.is_empty() {
        let (answer, cancelled) = asking.answer(&session, None, &Sight::none())?;
        answers.push(answer);
        cancelled
    } else {
        asking.all(&zoo, session, first, &mut answers, &mut failures)?
    };
    if answers.is_empty() && !cancelled {
        return Err(none_left(failures.len()));
    }
    json["answers"] = answers.into();
    let failed = cancelled || !failures.is_empty();
    if !failures.is_empty() {
        let message = format!("{} got no answer", counted(failures.len(), "input"));
        context.complain(&message);
        json["error"] = message.into();
        json["failures"] = failures.into();
    }
    Ok(Report { failed, ..Report::new("", json) })
}

/// An input that got no answer; the others go on.
fn fail(input: &str, error: &str, context: &Context<'_>) -> Value {
    context.complain(&if error.contains(input) { error.to_owned() } else { format!("{input}: {error}") });
    json!({ "input": input, "error": error })
}

/// Every input is wrong, and each has been told of.
fn none_left(failures: usize) -> CliError {
    CliError::Failed(format!("none of {} got an answer", counted(failures, "input")))
}

/// A question about images, each by itself.
struct Asking<'a, 'c> {
    args: &'a AskArgs,
    context: &'a Context<'c>,
    conversation: Conversation,
    /// Whether answers are shown with the names of their images.
    several: bool,
    inputs: Vec<Input>,
    /// Set by Ctrl-C.
    stop: &'static AtomicBool,
}

impl Asking<'_, '_> {
    /// Asks about every image, one at a time: memory does not grow with their number. Where encoders are dropped for the
    /// language model, they look at [`TOGETHER`] images, and the model is opened anew for the next ones: encoders and
    /// language model are never there at once. Returns whether it was stopped.
    fn all(
        &self,
        zoo: &Zoo,
        session: ModelSession,
        mut first: Option<Decoded>,
        answers: &mut Vec<Value>,
        failures: &mut Vec<Value>,
    ) -> Result<bool, CliError> {
        let (keeps, mut kept) = (session.plan().keep_encoders, Some(session));
        for chunk in self.inputs.chunks(if keeps { 1 } else { TOGETHER }) {
            let session = match kept.take() {
                Some(session) => session,
                None => zoo.model(&self.args.talk.model.request(), &ModelPhases::new(self.context))?,
            };
            let mut seen = Vec::new();
            let (mut looked, mut images) = (Vec::new(), Vec::new());
            for input in chunk {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(true);
                }
                let decoded = match first.take() {
                    Some(decoded) => Ok(decoded),
                    None => picture::open(&input.path, &self.args.talk.model.orientation, self.context),
                };
                match decoded {
                    Ok(decoded) => {
                        looked.push((input, picture::notes(&decoded)));
                        images.push(decoded);
                    }
                    Err(error) => {
                        failures.push(fail(&path_text(&input.path), &error.to_string(), self.context))
                    }
                }
            }
            match session.look_each(&images, &ModelPhases::new(self.context)) {
                Ok(sights) => seen.extend(looked.into_iter().zip(sights)),
                Err(error) if error.is_cancelled() => return Ok(true),
                Err(error) if looked.len() == 1 && self.several => {
                    let (input, _) = looked[0];
                    failures.push(fail(&path_text(&input.path), &error.to_string(), self.context));
                }
                Err(error) => return Err(error.into()),
            }
            drop(images);
            for ((input, notes), sight) in seen {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(true);
                }
                match self.answer(&session, Some(input), &sight) {
                    Ok((mut answer, cancelled)) => {
                        answer["notes"] = notes;
                        answers.push(answer);
                        if cancelled {
                            return Ok(true);
                        }
                    }
                    Err(CliError::Host(error)) if error.is_cancelled() => return Ok(true),
                    Err(error) if self.several => {
                        failures.push(fail(&path_text(&input.path), &error.to_string(), self.context));
                    }
                    Err(error) => return Err(error),
                }
            }
            if keeps {
                kept = Some(session);
            }
        }
        Ok(false)
    }

    /// One answer, shown while it is written where it can be, and whether it was stopped.
    fn answer(
        &self,
        session: &ModelSession,
        input: Option<&Input>,
        sight: &Sight,
    ) -> Result<(Value, bool), CliError> {
        if let Some(input) = input.filter(|_| self.several) {
            self.context.stream(&format!("{}: ", path_text(&input.name)));
        }
        let options = self.args.talk.answer.over(session.defaults());
        let answered = if !self.args.choices.is_empty() {
            self.choose(session, sight)
        } else if let Some(count) = self.args.beams {
            self.search(count, session, sight, &options)
        } else {
            self.write(session, sight, &options)
        };
        if answered.is_err() && self.several {
            self.context.stream("\n");
        }
        let mut answer = answered?;
        answer["image"] = json!(input.map(|input| path_text(&input.path)));
        let cancelled = answer["finish"] == "cancelled";
        Ok((answer, cancelled))
    }

    fn write(&self, session: &ModelSession, sight: &Sight, options: &Options) -> Result<Value, CliError> {
        let mut text = Trimmed::default();
        let mut piece = |piece: &str| self.context.stream(text.push(piece));
        let control = Control { cancel: self.stop, piece: &mut piece };
        let generated = session.answer(&self.conversation, sight, options, control)?;
        self.context.stream("\n");
        Ok(written(&generated))
    }

    fn search(
        &self,
        count: usize,
        session: &ModelSession,
        sight: &Sight,
        options: &Options,
    ) -> Result<Value, CliError> {
        let beams = Beams::new(count);
        let found = session.search(&self.conversation, sight, options, &beams, self.stop)?;
        let Some(best) = found.first() else {
            return Err(CliError::Failed("the search was stopped before it found an answer".into()));
        };
        self.context.stream(&format!("{}\n", best.generated.text.trim()));
        let mut json = written(&best.generated);
        json["score"] = best.score.into();
        let others = found.iter().map(|h| json!({ "answer": h.generated.text.trim(), "score": h.score }));
        json["beams"] = others.collect();
        Ok(json)
    }

    fn choose(&self, session: &ModelSession, sight: &Sight) -> Result<Value, CliError> {
        let scored = session.choose(&self.conversation, sight, &self.args.choices)?;
        let best = scored.iter().max_by(|a, b| a.per_token().total_cmp(&b.per_token()));
        let best = best.ok_or_else(|| CliError::Usage("--choices is empty".into()))?;
        // The answer is a line of its own: scores go to another stream.
        self.context.stream(&format!("{}\n", best.text));
        for choice in &scored {
            self.context.note(&format!(
                "  {:>9.3} per token, {:>9.3} in all  {}",
                choice.per_token(),
                choice.sum,
                choice.text
            ));
        }
        let list = scored.iter().map(|c| {
            json!({ "answer": c.text, "log_likelihood": c.sum, "tokens": c.tokens, "per_token": c.per_token() })
        });
        Ok(json!({ "answer": best.text, "choices": list.collect::<Vec<_>>() }))
    }
}

pub(super) fn written(generated: &Generated) -> Value {
    let finish = match &generated.finish {
        Finish::StopId(_) | Finish::StopString(_) => "stop",
        Finish::MaxTokens => "length",
        Finish::ContextFull => "context",
        Finish::Cancelled => "cancelled",
    };
    json!({ "answer": generated.text.trim(), "tokens": generated.ids.len(), "finish": finish })
}
