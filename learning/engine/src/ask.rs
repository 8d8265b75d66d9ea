//! Asking a model, within a budget.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::net::Net;
use crate::plan::{Budget, Model};
use crate::{Error, Result, files};

/// What was used so far, in all runs of a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    pub requests: u64,
    pub tokens: u64,
}

pub(crate) struct Asker<'a> {
    model: &'a Model,
    budget: Budget,
    pause: Duration,
    file: PathBuf,
    used: Used,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    total_tokens: u64,
}

impl<'a> Asker<'a> {
    /// Goes on with what earlier runs in `out` used.
    pub fn new(model: &'a Model, budget: Budget, per_minute: u32, out: &Path) -> Result<Self> {
        let file = out.join("used.json");
        let used = if file.exists() { files::read(&file)? } else { Used::default() };
        let pause = Duration::from_secs(60).checked_div(per_minute).unwrap_or_default();
        Ok(Self { model, budget, pause, file, used })
    }

    pub fn used(&self) -> Used {
        self.used
    }

    /// What the model says to `user` under the instruction `system`.
    pub fn ask(&mut self, net: &mut Net<'_>, system: &str, user: &str) -> Result<String> {
        if self.used.requests >= self.budget.requests {
            return Err(Error::Budget { what: "requests", limit: self.budget.requests });
        }
        if self.used.tokens >= self.budget.tokens {
            return Err(Error::Budget { what: "tokens", limit: self.budget.tokens });
        }
        let url = format!("{}/chat/completions", self.model.url.trim_end_matches('/'));
        let body = json!({
            "model": self.model.name,
            "temperature": 0,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        });
        net.wait(Duration::ZERO)?;
        // Counted before the answer: one that is lost on the way was paid for, too.
        self.used.requests += 1;
        files::write_json(&self.file, &self.used)?;
        let answer = net.post(&url, self.model.key.as_deref(), &body.to_string(), self.pause)?;
        let wrong = |why: String| Error::Remote { url: url.clone(), why };
        let completion: Completion = serde_json::from_slice(&answer.bytes)
            .map_err(|error| wrong(format!("this is no answer of a chat completion: {error}")))?;
        let content = completion.choices.into_iter().next().and_then(|choice| choice.message.content);
        let content = content.ok_or_else(|| wrong("the answer has no text".to_owned()))?;
        // Who does not count is taken to need four bytes a token.
        let guess = (system.len() + user.len() + content.len()) as u64 / 4;
        self.used.tokens += completion.usage.map_or(guess, |usage| usage.total_tokens);
        files::write_json(&self.file, &self.used)?;
        Ok(content)
    }

    /// The JSON in what the model says, with or without words or a fence around it.
    pub fn ask_json(&mut self, net: &mut Net<'_>, system: &str, user: &str) -> Result<Value> {
        let text = self.ask(net, system, user)?;
        json_in(&text).ok_or_else(|| Error::Remote {
            url: self.model.url.clone(),
            why: format!("the model answers without JSON: {}", text.chars().take(120).collect::<String>()),
        })
    }
}

/// The first JSON object or list in a text.
fn json_in(text: &str) -> Option<Value> {
    let starts = text.char_indices().filter(|(_, c)| matches!(c, '{' | '[')).map(|(at, _)| at);
    // A text of nothing but brackets is not worth the square of its length.
    starts
        .take(64)
        .find_map(|at| serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>().next()?.ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_in_what_surrounds_it() {
        for (text, expected) in [
            (r#"{"a": 1}"#, Some(json!({"a": 1}))),
            ("Here:\n```json\n[1, 2]\n```\nDone.", Some(json!([1, 2]))),
            ("a [link] and {\"b\": \"}\"}", Some(json!({"b": "}"}))),
            ("no json", None),
            ("{\"cut\": ", None),
        ] {
            assert_eq!(json_in(text), expected, "{text}");
        }
        assert_eq!(json_in(&"[".repeat(1 << 20)), None);
    }
}
