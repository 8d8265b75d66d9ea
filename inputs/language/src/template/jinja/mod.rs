//! Chat templates of model folders: Jinja in `tokenizer_config.json` or `chat_template.jinja`.
//!
//! Such a template gives one string. Where the answers stand in it is found by rendering a second time with marks
//! in their place: the text is theirs and trained if putting the answers where the marks are gives the same string.

mod clock;
mod environment;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use minijinja::{Value, context};

use super::{Conversation, Style, Template};
use crate::tokens::{SpecialToken, TokenizerConfig};
use crate::{Error, Result};

/// A chat template and the special tokens that it may write.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    origin: PathBuf,
    source: String,
    /// `bos_token` and so on.
    tokens: Vec<(&'static str, String)>,
    /// What closes an answer, as far as it is a token.
    end: String,
}

/// Text of a conversation, cut where answers begin and end.
pub(super) struct Stretch {
    pub text: String,
    pub trained: bool,
}

/// The template of a model folder. Templates live as long as the program; each is kept once, however often its
/// folder is opened.
///
/// # Errors
/// [`Error::ChatTemplate`] when the folder has none or it cannot be run.
pub(super) fn open(folder: &Path) -> Result<&'static Template> {
    static ALL: Mutex<Vec<&'static Template>> = Mutex::new(Vec::new());
    let template = read(folder)?;
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.iter().find(|known| ***known == template) {
        return Ok(known);
    }
    let kept: &'static Template = Box::leak(Box::new(template));
    all.push(kept);
    Ok(kept)
}

fn read(folder: &Path) -> Result<Template> {
    let config = TokenizerConfig::read(folder)?;
    let origin = folder.join("tokenizer_config.json");
    let source = config.chat_template.as_ref().and_then(|source| source.conversation());
    let source = source.ok_or_else(|| Error::ChatTemplate {
        path: origin.clone(),
        message: "there is none; name one of Zoo's own templates instead".into(),
    })?;
    let named = [
        ("bos_token", &config.bos_token),
        ("eos_token", &config.eos_token),
        ("unk_token", &config.unk_token),
        ("pad_token", &config.pad_token),
    ];
    let token = |(name, token): (&'static str, &Option<SpecialToken>)| {
        token.as_ref().map(|token| (name, token.text().to_owned()))
    };
    let tokens = named.into_iter().filter_map(token).collect();
    let mut program = Program { origin, source: source.to_owned(), tokens, end: String::new() };
    let probe = [Message::user("q"), Message { role: "assistant", content: mark(0) }];
    let probed = program.write(&probe, false)?;
    let after = probed.split_once(&mark(0)).map(|(_, after)| after.to_owned()).unwrap_or_default();
    program.end = token_at_start(&after).to_owned();

    let eos = config.eos_token.as_ref().map(SpecialToken::text).unwrap_or_default();
    let mut stops = vec![program.end.trim().to_owned(), eos.to_owned()];
    stops.dedup();
    stops.retain(|stop| !stop.is_empty());
    let stops: &'static [&'static str] =
        stops.into_iter().map(|stop| &*stop.leak()).collect::<Vec<_>>().leak();
    Ok(Template {
        name: "chat_template",
        aliases: &[],
        system: "",
        examples: &[],
        style: Style::Jinja(Box::leak(Box::new(program))),
        image: ["", ""],
        // Whatever it writes or does not: transformers adds nothing to it either.
        bos: Some(""),
        stops,
        tokens: stops,
    })
}

/// White space and one token `<…>` with which `text` begins, or nothing.
fn token_at_start(text: &str) -> &str {
    let skipped = text.len() - text.trim_start().len();
    match (text[skipped..].starts_with('<'), text.find('>')) {
        (true, Some(end)) => &text[..=end],
        _ => "",
    }
}

/// Stands for answer `index`; private characters that no text has.
fn mark(index: usize) -> String {
    format!("\u{10FFFD}{index}\u{10FFFD}")
}

struct Message {
    role: &'static str,
    content: String,
}

impl Message {
    fn user(content: &str) -> Self {
        Self { role: "user", content: content.to_owned() }
    }
}

impl Program {
    /// Writes `conversation`, up to where an open answer starts.
    pub(super) fn stretches(&self, conversation: &Conversation) -> Result<Vec<Stretch>> {
        let turns = conversation.turns();
        let answers: Vec<&str> = turns.iter().filter_map(|turn| turn.answer.as_deref()).collect();
        let open = answers.len() < turns.len();
        let write = |answer: &dyn Fn(usize, &str) -> String| {
            let system =
                conversation.system().map(|text| Message { role: "system", content: text.to_owned() });
            let turns = turns.iter().enumerate().flat_map(|(index, turn)| {
                let answer = turn.answer.as_deref().map(|text| answer(index, text));
                let answer = answer.map(|content| Message { role: "assistant", content });
                std::iter::once(Message::user(&turn.question)).chain(answer)
            });
            self.write(&system.into_iter().chain(turns).collect::<Vec<_>>(), open)
        };
        let text = write(&|_, answer| answer.to_owned())?;
        if answers.is_empty() {
            return Ok(vec![Stretch { text, trained: false }]);
        }
        let marked = write(&|index, _| mark(index))?;
        for trim in [false, true] {
            let found = self.cut(&marked, &answers, trim);
            if found.iter().map(|stretch| stretch.text.as_str()).collect::<String>() == text {
                return Ok(found);
            }
        }
        Ok(vec![Stretch { text, trained: false }])
    }

    /// `marked` with the answers in the place of their marks.
    fn cut(&self, marked: &str, answers: &[&str], trim: bool) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        let mut rest = marked;
        for (index, answer) in answers.iter().enumerate() {
            let Some((before, after)) = rest.split_once(&mark(index)) else { continue };
            let end = if after.starts_with(&self.end) { self.end.as_str() } else { "" };
            let answer = if trim { answer.trim() } else { answer };
            stretches.push(Stretch { text: before.to_owned(), trained: false });
            stretches.push(Stretch { text: format!("{answer}{end}"), trained: true });
            rest = &after[end.len()..];
        }
        stretches.push(Stretch { text: rest.to_owned(), trained: false });
        stretches
    }

    fn write(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let messages: Vec<Value> =
            messages.iter().map(|m| context! { role => m.role, content => m.content.as_str() }).collect();
        let tokens = Value::from_pairs(self.tokens.iter().map(|(name, text)| (*name, text.as_str())));
        // transformers hands over tools and documents even where there are none.
        let values = context! { messages, add_generation_prompt, tools => (), documents => (), ..tokens };
        environment::environment().render_str(&self.source, values).map_err(|error| Error::ChatTemplate {
            path: self.origin.clone(),
            message: match (error.detail(), error.line()) {
                (Some(detail), Some(line)) => format!("{detail} (line {line} of the template)"),
                _ => error.to_string(),
            },
        })
    }
}
