//! One record, and what can be wrong with it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use zoo_language::template::{Conversation, IMAGE_PLACEHOLDER, Role};

/// A record that is sound as far as its text tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the file calls it.
    pub id: Option<String>,
    /// Its image, as the file writes it.
    pub image: Option<String>,
    /// Who says what; images stand at the front of their turn.
    pub conversation: Conversation,
    words: i32,
}

/// Something that makes a sample useless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// `file:line` of the record.
    pub place: String,
    /// Its kind, for counting.
    pub kind: FlawKind,
    /// What is wrong.
    pub message: String,
}

/// Kinds of flaws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlawKind {
    /// No JSON, or not of the shape of a record.
    Form,
    /// Speakers that do not alternate, or are not known.
    Roles,
    /// `<image>` and image do not belong together.
    Tags,
    /// The image is not there.
    MissingImage,
    /// The image cannot be read.
    BadImage,
    /// Nothing is left to be learnt.
    NothingTrained,
    /// The image does not fit into the longest sequence.
    TooLong,
    /// The same record once more.
    Duplicate,
}

impl fmt::Display for FlawKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "not a record",
            Self::Roles => "speakers out of turn",
            Self::Tags => "tags that do not fit the image",
            Self::MissingImage => "image not there",
            Self::BadImage => "image not readable",
            Self::NothingTrained => "nothing to learn",
            Self::TooLong => "too long",
            Self::Duplicate => "twice in the data",
        })
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// As it is written. Other keys are nobody's concern.
#[derive(Deserialize)]
struct Written {
    id: Option<Value>,
    /// The outer one is absent where the key is.
    #[serde(default, deserialize_with = "present")]
    image: Option<Option<String>>,
    conversations: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    from: String,
    value: String,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Record {
    /// Reads the text of a record.
    ///
    /// # Errors
    /// The kind of the flaw, and what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, (FlawKind, String)> {
        let written: Written = serde_json::from_slice(bytes).map_err(|e| (FlawKind::Form, e.to_string()))?;
        // Counted as the reference's sampler does: over all turns, before anything is moved.
        let words: usize = written.conversations.iter().map(|m| m.value.split_whitespace().count()).sum();
        let words = i32::try_from(words).unwrap_or(i32::MAX).max(1);
        let words = if written.image.is_some() { words } else { -words };
        let image = written.image.flatten().filter(|image| is_image(image));
        let mut messages = Vec::with_capacity(written.conversations.len());
        let mut tagged = 0;
        for (index, message) in written.conversations.into_iter().enumerate() {
            let role = match message.from.as_str() {
                "human" | "user" => Role::User,
                "gpt" | "assistant" => Role::Assistant,
                "system" => Role::System,
                other => {
                    let message =
                        format!("message {index} is from `{other}`; known are human, gpt and system");
                    return Err((FlawKind::Roles, message));
                }
            };
            let tag = message.value.contains(IMAGE_PLACEHOLDER);
            if tag && role != Role::User {
                let message = format!("message {index}: `{IMAGE_PLACEHOLDER}` stands in what no user says");
                return Err((FlawKind::Tags, message));
            }
            tagged += usize::from(tag);
            messages.push((role, if tag { to_the_front(&message.value) } else { message.value }));
        }
        match (tagged, &image) {
            (0, None) | (1, Some(_)) => {}
            (0, Some(image)) => {
                let message = format!("there is an image (`{image}`), and no `{IMAGE_PLACEHOLDER}` shows it");
                return Err((FlawKind::Tags, message));
            }
            (_, None) => {
                return Err((
                    FlawKind::Tags,
                    format!("`{IMAGE_PLACEHOLDER}` stands here, and there is no image"),
                ));
            }
            (turns, Some(_)) => {
                return Err((
                    FlawKind::Tags,
                    format!("`{IMAGE_PLACEHOLDER}` stands in {turns} turns for one image"),
                ));
            }
        }
        let messages = messages.iter().map(|(role, text)| (*role, text.as_str()));
        let conversation =
            Conversation::from_messages(messages).map_err(|e| (FlawKind::Roles, e.to_string()))?;
        if !conversation.turns().iter().any(|turn| turn.answer.is_some()) {
            return Err((FlawKind::NothingTrained, "nobody answers, so there is nothing to learn".into()));
        }
        let id = written.id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        Ok(Self { id, image, conversation, words })
    }

    /// Words of all turns; negative without an image.
    pub fn length(&self) -> i32 {
        self.words
    }
}

/// Whether a record whose `image` is written so has one: the public files have several ways to say that there is none.
pub(crate) fn is_image(image: &str) -> bool {
    !matches!(image, "" | "None" | "none" | "nan")
}

/// The turn with its image first and on a line of its own, as the reference writes it.
fn to_the_front(text: &str) -> String {
    let rest = text.replace(IMAGE_PLACEHOLDER, "");
    format!("{IMAGE_PLACEHOLDER}\n{}", rest.trim()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Record, (FlawKind, String)> {
        Record::parse(text.as_bytes())
    }

    #[test]
    fn images_come_first_in_their_turn() {
        for text in ["What is it?\\n<image>", "<image>\\nWhat is it?", "<image> What is it?<image>"] {
            let record = parse(&format!(
                r#"{{"id": 7, "image": "a.png", "conversations": [
                    {{"from": "human", "value": "{text}"}}, {{"from": "gpt", "value": "A bee."}}], "x": 1}}"#
            ));
            let record = record.unwrap();
            assert_eq!(record.conversation.turns()[0].question, "<image>\nWhat is it?");
            assert_eq!((record.id.as_deref(), record.length() > 0), (Some("7"), true));
        }
    }

    #[test]
    fn flaws_are_named() {
        let ask = r#"{"from": "human", "value": "q"}"#;
        let show = r#"{"from": "human", "value": "<image>q"}"#;
        let answer = r#"{"from": "gpt", "value": "a"}"#;
        let image = r#""image": "a.png", "#;
        let said = |image: &str, messages: &[&str]| {
            format!("{{{image}\"conversations\": [{}]}}", messages.join(", "))
        };
        for (text, kind, expected) in [
            ("{".to_owned(), FlawKind::Form, "EOF"),
            (r#"{"id": 1}"#.to_owned(), FlawKind::Form, "missing field `conversations`"),
            (said("", &[ask, ask]), FlawKind::Roles, "message 1 is a second one of the user"),
            (said("", &[r#"{"from": "bot", "value": "a"}"#]), FlawKind::Roles, "message 0 is from `bot`"),
            (said(image, &[ask, answer]), FlawKind::Tags, "there is an image (`a.png`)"),
            (said("", &[show, answer]), FlawKind::Tags, "there is no image"),
            (said(image, &[show, answer, show, answer]), FlawKind::Tags, "2 turns for one image"),
            (said(image, &[ask, r#"{"from": "gpt", "value": "<image>"}"#]), FlawKind::Tags, "no user says"),
            (said("", &[ask]), FlawKind::NothingTrained, "nobody answers"),
            (said(r#""image": ["a", "b"], "#, &[ask]), FlawKind::Form, "invalid type"),
        ] {
            let (got, message) = parse(&text).unwrap_err();
            assert!(got == kind && message.contains(expected), "{text}: {got:?} {message}");
        }
        // An image that is null counts as one when samples are sorted by kind.
        assert!(parse(&said(r#""image": null, "#, &[ask, answer])).unwrap().length() > 0);
        assert!(parse(&said("", &[ask, answer])).unwrap().length() < 0);
        for none in ["", "None", "none", "nan"] {
            let record = parse(&said(&format!("\"image\": \"{none}\", "), &[ask, answer])).unwrap();
            assert_eq!((record.image.as_deref(), record.length()), (None, 2), "{none:?}");
        }
    }
}
