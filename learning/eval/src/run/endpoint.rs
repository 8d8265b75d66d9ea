//! Models of others, behind any endpoint that speaks OpenAI's chat completions with images.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use zoo_hub::{Answer, Poster, Settings};

use super::{Answerer, Asking, Choices, Reply, Seen};
use crate::dataset::Item;
use crate::{Error, Result};

/// The token of an endpoint. It is sent there and written nowhere.
#[derive(Clone, Default)]
pub struct Key(pub Option<String>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Key(…)" } else { "Key(none)" })
    }
}

/// How long to wait, and how often to try.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For one answer.
    pub answer: Duration,
    /// Between the first tries; it doubles, and what the server asks for goes before it.
    pub between: Duration,
    /// The longest that the server may ask for.
    pub longest: Duration,
    /// Tries in all.
    pub tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(120),
            between: Duration::from_secs(1),
            longest: Duration::from_secs(120),
            tries: 5,
        }
    }
}

/// An endpoint.
pub struct Endpoint {
    url: String,
    model: String,
    key: Key,
    patience: Patience,
    at_once: usize,
    poster: Poster,
}

impl Endpoint {
    /// The endpoint at `base`, such as `http://127.0.0.1:8000/v1`, and its model.
    ///
    /// # Errors
    /// [`Error::Endpoint`] for an address that is none, and certificates that cannot be read.
    pub fn new(
        base: &str,
        model: &str,
        key: Key,
        patience: Patience,
        at_once: usize,
        settings: &Settings,
    ) -> Result<Self> {
        let base = base.trim_end_matches('/');
        let url = if base.ends_with("/chat/completions") {
            base.to_owned()
        } else {
            format!("{base}/chat/completions")
        };
        let fault = |message: String| Error::Endpoint { url: url.clone(), message };
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(fault("an endpoint begins with http:// or https://".into()));
        }
        let poster = Poster::new(settings, patience.answer).map_err(|error| fault(error.to_string()))?;
        Ok(Self { url, model: model.to_owned(), key, patience, at_once: at_once.max(1), poster })
    }

    /// What a run records of it.
    pub fn describe(&self) -> Json {
        json!({ "endpoint": self.url, "model": self.model })
    }

    /// Asks once more where asking again can help, and gives the text and the reason of its end.
    ///
    /// # Errors
    /// [`Error::Endpoint`] with what the server said last.
    pub fn ask(&self, messages: &Json, max_tokens: usize) -> Result<Reply> {
        let body = json!({
            "model": self.model, "messages": messages, "max_tokens": max_tokens, "temperature": 0, "stream": false,
        })
        .to_string();
        let mut wait = self.patience.between;
        let mut tries = 1;
        loop {
            let answer = self.poster.post(&self.url, self.key.0.as_deref(), &body);
            let (message, again) = match answer {
                Ok(answer) if answer.status == 200 => match read(&answer.body) {
                    Ok(reply) => return Ok(reply),
                    // A page of a proxy that is starting up, or half an answer.
                    Err(message) => (message, Some(None)),
                },
                Ok(answer) => {
                    let passes = matches!(answer.status, 408 | 409 | 425 | 429) || answer.status >= 500;
                    (refused(&answer), passes.then_some(answer.retry_after))
                }
                Err(zoo_hub::Error::NotAsked { .. }) => {
                    ("not asked: --offline or HF_HUB_OFFLINE is set, and no socket is opened".into(), None)
                }
                Err(zoo_hub::Error::NoAnswer { why, .. }) => {
                    (format!("{why}; check that the server runs, the address, and proxies"), Some(None))
                }
                Err(error) => (error.to_string(), None),
            };
            let Some(asked) = again.filter(|_| tries < self.patience.tries) else {
                let after = if tries > 1 { format!(" ({tries} tries)") } else { String::new() };
                return Err(Error::Endpoint { url: self.url.clone(), message: format!("{message}{after}") });
            };
            std::thread::sleep(asked.unwrap_or(wait).min(self.patience.longest));
            wait *= 2;
            tries += 1;
        }
    }
}

/// What a refusal says, in one line.
fn refused(answer: &Answer) -> String {
    let json: Option<Json> = serde_json::from_slice(&answer.body).ok();
    let said = json.as_ref().and_then(|json| {
        let error = json.get("error").unwrap_or(json);
        error.get("message").and_then(Json::as_str).or(error.as_str()).map(str::to_owned)
    });
    let said = said.unwrap_or_else(|| head(&answer.body));
    let hint = match answer.status {
        401 | 403 => "; is the key right? --key-env names the variable that holds it",
        404 => "; is the address that of the API, with /v1?",
        _ => "",
    };
    format!("HTTP {}: {said}{hint}", answer.status)
}

/// The beginning of a body that is no JSON.
fn head(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)])
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let mut shown: String = text.chars().take(120).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    if shown.is_empty() { "an empty answer".into() } else { shown }
}

/// A chat completion.
fn read(body: &[u8]) -> Result<Reply, String> {
    let json: Json =
        serde_json::from_slice(body).map_err(|_| format!("the answer is no JSON but: {}", head(body)))?;
    let choice =
        json.pointer("/choices/0").ok_or_else(|| format!("the answer has no choices: {}", head(body)))?;
    let content = choice.pointer("/message/content");
    let text = match content {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        // A model that says nothing, which some servers write so.
        Some(Json::Null) => String::new(),
        _ => return Err(format!("the answer has no content: {}", head(body))),
    };
    let finish = choice.get("finish_reason").and_then(Json::as_str).unwrap_or("stop").to_owned();
    let tokens = json.pointer("/usage/completion_tokens").and_then(Json::as_u64);
    Ok(Reply { text, finish, tokens, choices: Vec::new() })
}

/// A data URL of a picture.
fn data_url(bytes: &[u8]) -> String {
    let kind = match bytes {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'G', b'I', b'F', ..] => "gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        [b'B', b'M', ..] => "bmp",
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => "tiff",
        _ => "jpeg",
    };
    format!("data:image/{kind};base64,{}", STANDARD.encode(bytes))
}

impl Answerer for Endpoint {
    fn prepare(&self, bytes: Vec<u8>) -> Result<Seen, String> {
        Ok(Seen::File(bytes))
    }

    fn answer(&self, item: &Item, picture: Option<Seen>, asking: &Asking) -> Result<Reply> {
        if asking.choices == Choices::Likelihood {
            let message = "--choices-by likelihood needs a model here: chat endpoints give no likelihoods of given answers";
            return Err(Error::Endpoint { url: self.url.clone(), message: message.into() });
        }
        let mut content = Vec::new();
        if let Some(Seen::File(bytes)) = picture {
            content.push(json!({ "type": "image_url", "image_url": { "url": data_url(&bytes) } }));
        }
        content.push(json!({ "type": "text", "text": item.prompt }));
        self.ask(
            &json!([{ "role": "user", "content": content }]),
            asking.max_new_tokens.unwrap_or(item.max_new_tokens),
        )
    }

    fn at_once(&self) -> usize {
        self.at_once
    }
}
