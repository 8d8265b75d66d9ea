//! Conversation templates, byte for byte as Cambrian-1 and LLaVA write them (`conversation.py` of the reference).
//!
//! A template is a row of [`Template::all`], or the Jinja of a model folder ([`Template::of_folder`]). Rendering gives segments rather than a string, because what is
//! trained and where images stand is known while writing and can only be guessed at afterwards.

mod catalogue;
mod conversation;
mod jinja;
mod render;
mod texts;

pub use conversation::{Conversation, IMAGE_PLACEHOLDER, Role, Turn};
pub use jinja::Program;
pub use render::{Rendered, Style};

use std::path::Path;

use crate::{Error, Result};

/// One way of writing conversations.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    /// The name that messages use.
    pub name: &'static str,
    /// Other names of it in configurations and scripts.
    pub aliases: &'static [&'static str],
    /// System text where the conversation brings none.
    pub system: &'static str,
    /// Turns shown before the first one; never trained.
    pub examples: &'static [(&'static str, &'static str)],
    /// How the parts are joined.
    pub style: Style,
    /// What stands before and after each image.
    pub image: [&'static str; 2],
    /// Begin-of-text where the template itself writes it. The tokenizer then adds none.
    pub bos: Option<&'static str>,
    /// What ends an answer: special tokens, or text where a template has none.
    pub stops: &'static [&'static str],
    /// Special tokens that the tokenizer must know whole.
    pub tokens: &'static [&'static str],
}

/// A stretch of a rendered conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Text, or an image.
    pub kind: SegmentKind,
    /// Who says it.
    pub role: Role,
    /// Whether a model is trained to write it: answers and their end marks.
    pub trained: bool,
}

/// What a segment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentKind {
    /// To be tokenised.
    Text(String),
    /// Replaced by image tokens.
    Image,
}

impl Segment {
    /// Its text, or [`IMAGE_PLACEHOLDER`].
    pub fn text(&self) -> &str {
        match &self.kind {
            SegmentKind::Text(text) => text,
            SegmentKind::Image => IMAGE_PLACEHOLDER,
        }
    }
}

impl Template {
    /// Every template.
    pub fn all() -> &'static [Self] {
        catalogue::TEMPLATES
    }

    /// The template of that name or alias.
    ///
    /// # Errors
    /// [`Error::UnknownTemplate`] with the nearest name.
    pub fn named(name: &str) -> Result<&'static Self> {
        let names = |t: &'static Self| std::iter::once(t.name).chain(t.aliases.iter().copied());
        Self::all().iter().find(|t| names(t).any(|n| n == name)).ok_or_else(|| {
            let near = Self::all()
                .iter()
                .flat_map(names)
                .map(|n| (strsim::damerau_levenshtein(n, name), n))
                .min()
                .filter(|(distance, _)| *distance <= 3);
            let hint = match near {
                Some((_, n)) => format!("did you mean `{n}`?"),
                None => {
                    format!("there are {}", Self::all().iter().map(|t| t.name).collect::<Vec<_>>().join(", "))
                }
            };
            Error::UnknownTemplate { name: name.to_owned(), hint }
        })
    }

    /// The template that a released model was trained with; `model` is the name of its repository, with or
    /// without the owner. Another template costs many points and is not noticed otherwise.
    pub fn of_released_model(model: &str) -> Option<&'static Self> {
        let name = model.rsplit('/').next().unwrap_or(model);
        let (_, template) = catalogue::RELEASED.iter().find(|(m, _)| m.eq_ignore_ascii_case(name))?;
        Self::all().iter().find(|t| t.name == *template)
    }

    /// The chat template that a model folder brings, as transformers' `apply_chat_template` would run it; named
    /// `chat_template`. It stands in `processor_config.json`, `chat_template.json`, `chat_template.jinja`,
    /// `additional_chat_templates/` or `tokenizer_config.json`, the first of them that has one. The content of messages is a list
    /// of parts where the template reads such lists, with an image for each [`IMAGE_PLACEHOLDER`]; otherwise it is
    /// text, and images stand where questions have their placeholder. Answers end with the token that it writes behind them or with `eos_token`, and it
    /// takes care of begin-of-text itself. Where it rewrites answers (other than trimming them) nothing is trained.
    ///
    /// # Errors
    /// [`Error::ChatTemplate`] when there is none or it does not run, [`Error::TokenizerFile`].
    pub fn of_folder(folder: impl AsRef<Path>) -> Result<&'static Self> {
        jinja::open(folder.as_ref())
    }

    /// Writes `conversation`. Where its last turn is unanswered, the prompt ends where the answer starts.
    ///
    /// The `plain` template keeps only the images of a question, as caption pre-training does; a question that is to be
    /// answered now it refuses.
    ///
    /// # Errors
    /// [`Error::Conversation`] when nothing was asked, an image stands anywhere but in a question, or the
    /// template has no place for the given system text or the question; [`Error::ChatTemplate`] when the Jinja of a
    /// folder refuses, leaves out what it was given, or writes another number of images.
    pub fn render(&'static self, conversation: &Conversation) -> Result<Rendered> {
        render::render(self, conversation)
    }
}
