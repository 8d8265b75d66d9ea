//! `POST /v1/chat/completions`: a conversation, with a picture or without one, and its next answer, whole or as it is
//! written.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use zoo_language::generate::{Finish, Options, Trimmed};
use zoo_language::template::{Conversation, IMAGE_PLACEHOLDER, Role};

use super::input::url;
use super::{Body, Json};
use crate::answering::{Question, Said};
use crate::app::now;
use crate::interest::{Waiting, interest};
use crate::picture::Written;
use crate::{App, Failure};

/// The request, in OpenAI's words.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    model: Option<String>,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<u64>,
    stop: Option<Value>,
    /// Not of OpenAI's interface, but of those beside it.
    top_k: Option<usize>,
    min_p: Option<f64>,
    repetition_penalty: Option<f64>,
    /// The rest, of which some would change the answer.
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Value,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Settings that would change the answer and that the model does not know, with the value that changes nothing.
const UNKNOWN: [(&str, &str); 9] = [
    ("n", "1"),
    ("best_of", "1"),
    ("logprobs", "false"),
    ("tools", "[]"),
    ("functions", "[]"),
    ("logit_bias", "{}"),
    ("presence_penalty", "0"),
    ("frequency_penalty", "0"),
    ("response_format", "{\"type\":\"text\"}"),
];

/// Answers it.
pub(super) async fn completions(
    State(app): State<Arc<App>>,
    Body(asked): Body<Asked>,
) -> Result<Response, Failure> {
    let answerer = app.answerer(asked.model.as_deref())?;
    refuse(&asked.rest)?;
    let options = options(&asked, answerer.session().defaults(), app.limits.tokens)?;
    let (interest, waiting) = interest();
    let (conversation, texts) = conversation(&asked.messages)?;
    // What cannot be meant is refused before anything is decoded or waits, and before an answer begins.
    let prompt = answerer.session().prompt(&conversation)?;
    let pictures = app.pictures(&texts, &interest).await?;
    let said = answerer.ask(Question { prompt, pictures, options }, interest)?;
    let head = Head { id: id(), created: now(), model: answerer.session().id().to_owned() };
    if asked.stream {
        let usage = asked.stream_options.is_some_and(|options| options.include_usage);
        Ok(Sse::new(events(said, waiting, head, usage)).keep_alive(KeepAlive::default()).into_response())
    } else {
        Ok(Json(whole(said, head).await?).into_response())
    }
}

fn refuse(rest: &serde_json::Map<String, Value>) -> Result<(), Failure> {
    for (name, idle) in UNKNOWN {
        let Some(value) = rest.get(name).filter(|value| !value.is_null()) else { continue };
        let same = serde_json::from_str(idle).is_ok_and(|idle: Value| {
            *value == idle || value.as_f64().zip(idle.as_f64()).is_some_and(|(given, idle)| given == idle)
        });
        if !same {
            let message = format!("`{name}` is not known here; leave it out, or give {idle}");
            return Err(Failure::request(name, message));
        }
    }
    Ok(())
}

fn options(asked: &Asked, defaults: Options, most: usize) -> Result<Options, Failure> {
    let mut options = defaults;
    let wanted = asked.max_completion_tokens.or(asked.max_tokens);
    options.max_new_tokens = wanted.unwrap_or(options.max_new_tokens).min(most);
    if wanted == Some(0) {
        return Err(Failure::request("max_tokens", "max_tokens is 0; it must be 1 or more"));
    }
    let sampling = &mut options.sampling;
    sampling.temperature = asked.temperature.unwrap_or(sampling.temperature);
    sampling.top_p = asked.top_p.or(sampling.top_p);
    sampling.top_k = asked.top_k.or(sampling.top_k);
    sampling.min_p = asked.min_p.or(sampling.min_p);
    sampling.repetition_penalty = asked.repetition_penalty.unwrap_or(sampling.repetition_penalty);
    sampling.seed = asked.seed.unwrap_or(sampling.seed);
    sampling.validate().map_err(|error| Failure::request("temperature", error.to_string()))?;
    let wrong = || Failure::request("stop", "stop is neither a text nor a list of texts");
    match &asked.stop {
        None | Some(Value::Null) => {}
        Some(Value::String(stop)) => options.stop_strings.push(stop.clone()),
        Some(Value::Array(stops)) => {
            for stop in stops {
                options.stop_strings.push(stop.as_str().ok_or_else(wrong)?.to_owned());
            }
        }
        Some(_) => return Err(wrong()),
    }
    if options.stop_strings.iter().any(String::is_empty) {
        return Err(Failure::request(
            "stop",
            "an empty text in stop would end every answer before it begins",
        ));
    }
    Ok(options)
}

/// Turns and pictures of messages; each picture with its place in the request.
fn conversation(messages: &[Message]) -> Result<(Conversation, Vec<Written<'_>>), Failure> {
    let (mut turns, mut pictures) = (Vec::new(), Vec::new());
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        let role = match message.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => {
                let what =
                    format!("{place}: nobody has the role `{other}`; there are system, user and assistant");
                return Err(Failure::request("messages", what));
            }
        };
        let (text, count) = content(&message.content, &place, &mut pictures)?;
        if count > 0 && role != Role::User {
            return Err(Failure::request("messages", format!("{place}: only the user shows pictures")));
        }
        turns.push((role, format!("{}{text}", format!("{IMAGE_PLACEHOLDER}\n").repeat(count))));
    }
    let conversation = Conversation::from_messages(turns.iter().map(|(role, text)| (*role, text.as_str())))
        .map_err(|error| Failure::request("messages", error.to_string()))?;
    if conversation.turns().last().is_none_or(|turn| turn.answer.is_some()) {
        return Err(Failure::request(
            "messages",
            "the last message is not the user's: there is nothing to answer",
        ));
    }
    Ok((conversation, pictures))
}

/// The text of a message and how many pictures stand in it, which are added to `pictures`.
fn content<'m>(
    content: &'m Value,
    place: &str,
    pictures: &mut Vec<Written<'m>>,
) -> Result<(String, usize), Failure> {
    let wrong = |what: String| Err(Failure::request("messages", what));
    let parts = match content {
        Value::String(text) => return Ok((plain(text, place)?, 0)),
        Value::Array(parts) => parts,
        _ => return wrong(format!("{place}.content is neither a text nor a list of parts")),
    };
    let (mut texts, before) = (Vec::new(), pictures.len());
    for (index, part) in parts.iter().enumerate() {
        let place = format!("{place}.content[{index}]");
        match (part["type"].as_str(), part["text"].as_str(), url(part)) {
            (Some("text"), Some(text), _) => texts.push(plain(text, &place)?),
            (Some("image_url"), _, Some(url)) => pictures.push((place, url)),
            (kind, ..) => {
                let kind = kind.unwrap_or("no type");
                return wrong(format!(
                    "{place}: `{kind}`; a part is a `text` with its text or an `image_url`"
                ));
            }
        }
    }
    Ok((texts.join("\n"), pictures.len() - before))
}

/// Text that holds no place of a picture: those are the model's.
fn plain(text: &str, place: &str) -> Result<String, Failure> {
    if text.contains(IMAGE_PLACEHOLDER) {
        let what = format!(
            "{place} holds `{IMAGE_PLACEHOLDER}`, which stands for a picture inside the model; send the picture as a \
             part `image_url`, or write it with blanks"
        );
        return Err(Failure::request("messages", what));
    }
    Ok(text.to_owned())
}

/// What all parts of an answer begin with.
struct Head {
    id: String,
    created: u64,
    model: String,
}

impl Head {
    fn json(&self, object: &str, choices: Value) -> Value {
        let Self { id, created, model } = self;
        json!({ "id": id, "object": object, "created": created, "model": model, "choices": choices })
    }

    fn chunk(&self, delta: Value, finish: Option<&str>) -> Value {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        self.json("chat.completion.chunk", json!([choice]))
    }
}

/// Names that no other answer of this process has.
fn id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("chatcmpl-{:x}-{:x}", now(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::StopId(_) | Finish::StopString(_) | Finish::Cancelled => "stop",
        Finish::MaxTokens | Finish::ContextFull => "length",
    }
}

fn usage(prompt: usize, written: usize) -> Value {
    json!({ "prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written })
}

async fn whole(mut said: UnboundedReceiver<Said>, head: Head) -> Result<Value, Failure> {
    let mut text = String::new();
    loop {
        match said.recv().await {
            Some(Said::Piece(piece)) => text.push_str(&piece),
            Some(Said::End { finish, prompt, written }) => {
                let message = json!({ "role": "assistant", "content": text.trim() });
                let choice = json!({ "index": 0, "message": message, "finish_reason": reason(&finish) });
                let mut answer = head.json("chat.completion", json!([choice]));
                answer["usage"] = usage(prompt, written);
                return Ok(answer);
            }
            Some(Said::Failed(failure)) => return Err(failure),
            None => return Err(Failure::closing()),
        }
    }
}

/// The events of an answer. `waiting` lives as long as the connection that they go to.
fn events(
    said: UnboundedReceiver<Said>,
    waiting: Waiting,
    head: Head,
    with_usage: bool,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let first = head.chunk(json!({ "role": "assistant", "content": "" }), None);
    let state = (said, waiting, head, Trimmed::default(), false);
    let rest = stream::unfold(state, move |(mut said, waiting, head, mut trimmed, ended)| async move {
        if ended {
            return None;
        }
        let (chunks, ended) = match said.recv().await {
            Some(Said::Piece(piece)) => match trimmed.push(&piece) {
                "" => (Vec::new(), false),
                text => (vec![head.chunk(json!({ "content": text }), None).to_string()], false),
            },
            Some(Said::End { finish, prompt, written }) => {
                let mut chunks = vec![head.chunk(json!({}), Some(reason(&finish))).to_string()];
                if with_usage {
                    let mut last = head.json("chat.completion.chunk", json!([]));
                    last["usage"] = usage(prompt, written);
                    chunks.push(last.to_string());
                }
                chunks.push("[DONE]".to_owned());
                (chunks, true)
            }
            Some(Said::Failed(failure)) => (vec![failure.json().to_string()], true),
            None => (vec![Failure::closing().json().to_string()], true),
        };
        let events: Vec<_> = chunks.into_iter().map(|chunk| Ok(Event::default().data(chunk))).collect();
        Some((stream::iter(events), (said, waiting, head, trimmed, ended)))
    });
    stream::once(async move { Ok(Event::default().data(first.to_string())) }).chain(rest.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(value: Value) -> Vec<Message> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn messages_become_turns() {
        let messages = messages(json!([
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": [
                { "type": "image_url", "image_url": { "url": "data:a" } }, { "type": "text", "text": "what is it?" },
            ] },
            { "role": "assistant", "content": "a cat" },
            { "role": "user", "content": "of which colour?" },
        ]));
        let (conversation, pictures) = conversation(&messages).unwrap();
        assert_eq!(conversation.system(), Some("be brief"));
        let questions: Vec<&str> = conversation.turns().iter().map(|turn| turn.question.as_str()).collect();
        assert_eq!(questions, ["<image>\nwhat is it?", "of which colour?"]);
        assert_eq!(pictures, [("messages[1].content[0]".to_owned(), "data:a")]);
    }

    #[track_caller]
    fn refused(value: Value, part: &str) {
        let messages = messages(value);
        let failure = conversation(&messages).unwrap_err();
        assert!(failure.message.contains(part), "{failure}");
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let user = |content: Value| json!([{ "role": "user", "content": content }]);
        refused(json!([]), "nothing to answer");
        refused(json!([{ "role": "robot", "content": "a" }]), "messages[0]: nobody has the role `robot`");
        refused(
            json!([{ "role": "user", "content": "a" }, { "role": "assistant", "content": "b" }]),
            "nothing to answer",
        );
        refused(
            json!([{ "role": "user", "content": "a" }, { "role": "user", "content": "b" }]),
            "second one",
        );
        refused(user(json!("look: <image>")), "stands for a picture inside the model");
        refused(user(json!(7)), "neither a text nor a list");
        refused(user(json!([{ "type": "input_audio" }])), "messages[0].content[0]: `input_audio`");
        let shown = json!([{ "type": "image_url", "image_url": { "url": "data:a" } }]);
        refused(
            json!([{ "role": "system", "content": shown }, { "role": "user", "content": "a" }]),
            "only the user",
        );
    }

    #[test]
    fn settings_that_would_change_the_answer_are_not_passed_over() {
        let rest = |value: Value| value.as_object().unwrap().clone();
        assert!(
            refuse(&rest(json!({ "n": 1, "user": "me", "presence_penalty": 0.0, "tools": null }))).is_ok()
        );
        for (value, name) in [(json!({ "n": 2 }), "n"), (json!({ "logprobs": true }), "logprobs")] {
            assert_eq!(refuse(&rest(value)).unwrap_err().param.as_deref(), Some(name));
        }
    }
}
