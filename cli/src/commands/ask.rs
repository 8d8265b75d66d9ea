//! `zoo ask`

use std::path::Path;

use serde_json::{Value, json};
use zoo_core::path_text;
use zoo_host::{ModelSession, Sight};
use zoo_language::generate::{Beams, Control, Finish, Generated, Options};
use zoo_language::template::Conversation;
use zoo_pipeline::find::{Input, find};

use super::model::{Watched, begin, image, metadata, open, sensible};
use crate::args::{AskArgs, PixelArgs};
use crate::context::Context;
use crate::interrupt;
use crate::report::{CliError, Report};

pub(super) fn run(args: &AskArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let (inputs, question) = split(args)?;
    sensible(&args.talk.answer)?;
    let orientation = &args.talk.model.orientation;
    let images = inputs.iter().map(|input| image(&input.path, orientation)).collect::<Result<Vec<_>, _>>()?;
    let zoo = context.computing(&PixelArgs::default())?;
    let session = open(&zoo, &args.talk.model, context)?;

    let mut conversation = begin(args.talk.system.as_deref());
    let asked =
        if images.is_empty() { conversation.ask(question) } else { conversation.ask_about_image(question) };
    asked.map_err(zoo_host::HostError::from)?;
    let sights = if images.is_empty() {
        vec![Sight::none()]
    } else {
        session.look_each(&images, &Watched::new(context))?
    };
    drop(images);

    let (mut answers, mut failed) = (Vec::new(), false);
    for (index, sight) in sights.iter().enumerate() {
        let name = inputs.get(index).map(|input| path_text(&input.name));
        if let (Some(name), true) = (name, inputs.len() > 1) {
            context.stream(&format!("{name}: "));
        }
        let mut answer = answer(args, &session, &conversation, sight, context)?;
        context.stream("\n");
        answer["image"] = json!(inputs.get(index).map(|input| path_text(&input.path)));
        let cancelled = answer["finish"] == "cancelled";
        answers.push(answer);
        if cancelled {
            failed = true;
            break;
        }
    }
    let mut json = metadata(&session);
    json["question"] = question.into();
    json["answers"] = answers.into();
    Ok(Report { failed, ..Report::new("", json) })
}

/// The images and the question.
fn split(args: &AskArgs) -> Result<(Vec<Input>, &str), CliError> {
    let Some((question, images)) = args.inputs.split_last() else {
        return Err(CliError::Usage("there is no question".into()));
    };
    if args.text_only {
        return match images {
            [] => Ok((Vec::new(), question)),
            [first, ..] => Err(CliError::Usage(format!(
                "--text-only takes the question alone, in quotes; what is `{first}`?"
            ))),
        };
    }
    if Path::new(question).is_file() {
        return Err(CliError::Usage(format!(
            "`{question}` is a file, and stands where the question should; the question comes last, in quotes \
             (--text-only if it is the question)"
        )));
    }
    let found = find(images);
    match found.failures.first() {
        Some(failure) => Err(CliError::Failed(failure.to_string())),
        None => Ok((found.inputs, question)),
    }
}

/// One answer, shown while it is written where it can be.
fn answer(
    args: &AskArgs,
    session: &ModelSession,
    conversation: &Conversation,
    sight: &Sight,
    context: &Context<'_>,
) -> Result<Value, CliError> {
    let options = args.talk.answer.over(session.defaults());
    if !args.choices.is_empty() {
        return choose(&args.choices, session, conversation, sight, context);
    }
    if let Some(count) = args.beams {
        return search(count, session, conversation, sight, &options, context);
    }
    let mut text = Trimmed::default();
    let mut piece = |piece: &str| context.stream(text.push(piece));
    let control = Control { cancel: interrupt::flag(), piece: &mut piece };
    let generated = session.answer(conversation, sight, &options, control)?;
    Ok(written(&generated))
}

fn search(
    count: usize,
    session: &ModelSession,
    conversation: &Conversation,
    sight: &Sight,
    options: &Options,
    context: &Context<'_>,
) -> Result<Value, CliError> {
    let beams = Beams::new(count);
    let found = session.search(conversation, sight, options, &beams, interrupt::flag())?;
    let Some(best) = found.first() else {
        return Err(CliError::Failed("the search was stopped before it found an answer".into()));
    };
    context.stream(best.generated.text.trim());
    let mut json = written(&best.generated);
    json["score"] = best.score.into();
    let others = found.iter().map(|h| json!({ "answer": h.generated.text.trim(), "score": h.score }));
    json["beams"] = others.collect();
    Ok(json)
}

fn choose(
    choices: &[String],
    session: &ModelSession,
    conversation: &Conversation,
    sight: &Sight,
    context: &Context<'_>,
) -> Result<Value, CliError> {
    let scored = session.choose(conversation, sight, choices)?;
    let best = scored.iter().max_by(|a, b| a.per_token().total_cmp(&b.per_token()));
    let best = best.ok_or_else(|| CliError::Usage("--choices is empty".into()))?;
    context.stream(&best.text);
    for choice in &scored {
        context.note(&format!(
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

pub(super) fn written(generated: &Generated) -> Value {
    let finish = match &generated.finish {
        Finish::StopId(_) | Finish::StopString(_) => "stop",
        Finish::MaxTokens => "length",
        Finish::ContextFull => "context",
        Finish::Cancelled => "cancelled",
    };
    json!({ "answer": generated.text.trim(), "tokens": generated.ids.len(), "finish": finish })
}

/// Takes away the white space before a text that comes in pieces: answers begin with a space in some templates.
#[derive(Default)]
pub(super) struct Trimmed {
    begun: bool,
}

impl Trimmed {
    pub fn push<'a>(&mut self, piece: &'a str) -> &'a str {
        let piece = if self.begun { piece } else { piece.trim_start() };
        self.begun |= !piece.is_empty();
        piece
    }
}
