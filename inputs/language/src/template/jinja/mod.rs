//! Chat templates of model folders: Jinja that a folder brings in one of several files.
//!
//! Such a template gives one string. Where the answers stand in it is found by rendering a second time with marks
//! in their place: the text is theirs and trained if putting the answers where the marks are gives the same string.
//! Marks in the place of every line of a question tell whether the template leaves one out.

mod clock;
mod contents;
mod dialect;
mod environment;
mod files;
mod json;
mod python;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use minijinja::{Value, context};

use self::contents::{Content, ContentPart, Contents, parts};
use super::{Conversation, IMAGE_PLACEHOLDER, Role, Style, Template};
use crate::tokens::{SpecialToken, TokenizerConfig};
use crate::{Error, Result};

/// A chat template and the special tokens that it may write.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    origin: PathBuf,
    source: String,
    /// `bos_token` and so on.
    tokens: Vec<(String, String)>,
    /// What messages hold.
    contents: Contents,
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
    let found = files::find(folder, &config)?;
    let tokens = config.special_tokens();
    let images = tokens.iter().filter(|(name, _)| name == "image_token").map(|(_, text)| text.clone());
    let images: Vec<String> = images.collect();
    let mut program = Program {
        origin: found.path,
        source: dialect::translate(&found.source),
        tokens,
        contents: Contents::TEXT,
        end: String::new(),
    };
    program.contents = Contents::probe(&program, &images)?;
    let probe = [Message::text(Role::User, "q"), Message::text(Role::Assistant, &mark(0))];
    // A template that speaks up against it is heard when an answer is given to it.
    let probed = program.write(&program.contents, &probe, false).unwrap_or_default();
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

/// Stands for text number `index`; private characters that no text has.
fn mark(index: usize) -> String {
    format!("\u{10FFFD}{index}\u{10FFFD}")
}

#[derive(Clone)]
struct Message {
    role: Role,
    content: Vec<ContentPart>,
}

impl Message {
    fn text(role: Role, text: &str) -> Self {
        Self { role, content: vec![ContentPart::Text(text.to_owned())] }
    }

    /// As `content` wants it.
    fn value(&self, content: Content) -> Value {
        let role = match self.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let part = |part: &ContentPart| match part {
            ContentPart::Image => context! { type => "image" },
            ContentPart::Text(text) => context! { type => "text", text => text.as_str() },
            ContentPart::Marked(text, other) => {
                context! { type => "text", text => text.as_str(), mark => other.as_str() }
            }
        };
        match content {
            Content::Parts => {
                context! { role, content => self.content.iter().map(part).collect::<Vec<_>>() }
            }
            Content::Text => {
                let text = self.content.iter().map(|part| match part {
                    ContentPart::Image => IMAGE_PLACEHOLDER,
                    ContentPart::Text(text) | ContentPart::Marked(text, _) => text.as_str(),
                });
                context! { role, content => text.collect::<String>() }
            }
        }
    }
}

/// Hands out marks, and keeps what they stand for.
#[derive(Default)]
struct Marks {
    texts: Vec<String>,
}

impl Marks {
    fn of(&mut self, text: &str) -> String {
        self.texts.push(text.to_owned());
        mark(self.texts.len() - 1)
    }

    /// `text` with a mark in the place of each line that says something.
    fn lines(&mut self, text: &str) -> String {
        let lines = text.split('\n').map(|line| match line.trim() {
            "" => line.to_owned(),
            words => {
                let start = line.len() - line.trim_start().len();
                format!("{}{}{}", &line[..start], self.of(words), &line[start + words.len()..])
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Program {
    /// The file in which the template stands.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// What stands for an image in what [`Program::stretches`] gives; none where images are shown and it cannot be
    /// told.
    pub(super) fn image(&self) -> Option<&str> {
        match self.contents.of(Role::User) {
            Content::Text => Some(IMAGE_PLACEHOLDER),
            Content::Parts => self.contents.image.as_deref(),
        }
    }

    /// Writes `conversation`, up to where an open answer starts.
    ///
    /// # Errors
    /// [`Error::ChatTemplate`] when the template refuses, or leaves out of a question or of the system text what it
    /// was given.
    pub(super) fn stretches(&self, conversation: &Conversation) -> Result<Vec<Stretch>> {
        let messages = self.messages(conversation);
        let answers: Vec<&str> =
            conversation.turns().iter().filter_map(|turn| turn.answer.as_deref()).collect();
        let open = answers.len() < conversation.turns().len();
        let text = self.write(&self.contents, &messages, open)?;
        self.nothing_is_left_out(&messages, open, &text)?;
        if answers.is_empty() {
            return Ok(vec![Stretch { text, trained: false }]);
        }
        let mut index = 0;
        let marked = messages.iter().map(|message| {
            if message.role != Role::Assistant {
                return message.clone();
            }
            index += 1;
            Message::text(Role::Assistant, &mark(index - 1))
        });
        let marked = self.write(&self.contents, &marked.collect::<Vec<_>>(), open)?;
        for trim in [false, true] {
            let found = self.cut(&marked, &answers, trim);
            if found.iter().map(|stretch| stretch.text.as_str()).collect::<String>() == text {
                return Ok(found);
            }
        }
        Ok(vec![Stretch { text, trained: false }])
    }

    fn messages(&self, conversation: &Conversation) -> Vec<Message> {
        let system = conversation.system().map(|text| Message::text(Role::System, text));
        let turns = conversation.turns().iter().flat_map(|turn| {
            let question = match self.contents.of(Role::User) {
                Content::Parts => Message { role: Role::User, content: parts(&turn.question) },
                Content::Text => Message::text(Role::User, &turn.question),
            };
            let answer = turn.answer.as_deref().map(|text| Message::text(Role::Assistant, text));
            std::iter::once(question).chain(answer)
        });
        system.into_iter().chain(turns).collect()
    }

    /// Refuses a template that writes the same whatever a line of a question or of the system text says.
    fn nothing_is_left_out(&self, messages: &[Message], open: bool, text: &str) -> Result<()> {
        let mut marks = Marks::default();
        let marked: Vec<Message> = messages.iter().map(|message| with_marks(message, &mut marks)).collect();
        let written = self.write(&self.contents, &marked, open).unwrap_or_default();
        let lost = |index: &usize| !written.contains(&mark(*index));
        for index in (0..marks.texts.len()).filter(lost) {
            // It may still be read, and written in other words: then another text gives another prompt.
            let mut others = Marks::default();
            let one = messages.iter().map(|message| {
                let mut message = with_marks(message, &mut others);
                for part in &mut message.content {
                    if let ContentPart::Text(text) = part {
                        *text = unmarked(text, &marks.texts, index);
                    }
                }
                message
            });
            let one = self.write(&self.contents, &one.collect::<Vec<_>>(), open);
            if one.is_ok_and(|one| one == text) {
                return Err(self.fault(format!(
                    "it leaves `{}` out of the prompt; take a template that was made for this kind of conversation                      (--template NAME)",
                    short(&marks.texts[index])
                )));
            }
        }
        Ok(())
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

    fn write(
        &self,
        contents: &Contents,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String> {
        let messages: Vec<Value> = messages.iter().map(|m| m.value(contents.of(m.role))).collect();
        let tokens = Value::from_pairs(self.tokens.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        // transformers hands over tools and documents even where there are none.
        let values = context! { messages, add_generation_prompt, tools => (), documents => (), ..tokens };
        environment::render(&self.source, values).map_err(|error| {
            self.fault(match (error.detail(), error.line()) {
                (Some(detail), Some(line)) => format!("{detail} (line {line} of the template)"),
                _ => error.to_string(),
            })
        })
    }

    pub(super) fn fault(&self, message: String) -> Error {
        Error::ChatTemplate { path: self.origin.clone(), message }
    }
}

/// `message` with marks in its lines, unless the model said it.
fn with_marks(message: &Message, marks: &mut Marks) -> Message {
    let mut message = message.clone();
    if message.role != Role::Assistant {
        for part in &mut message.content {
            if let ContentPart::Text(text) = part {
                // A placeholder on the same line is no part of it.
                let pieces: Vec<String> =
                    text.split(IMAGE_PLACEHOLDER).map(|piece| marks.lines(piece)).collect();
                *text = pieces.join(IMAGE_PLACEHOLDER);
            }
        }
    }
    message
}

/// `text` with what all marks but `kept` stand for.
fn unmarked(text: &str, texts: &[String], kept: usize) -> String {
    let all = texts.iter().enumerate().filter(|(index, _)| *index != kept);
    all.fold(text.to_owned(), |text, (index, line)| text.replace(&mark(index), line))
}

/// The beginning of a line, for a message.
fn short(line: &str) -> String {
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
