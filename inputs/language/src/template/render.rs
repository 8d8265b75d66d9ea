//! From a conversation to segments of text and images: one renderer per style.

use super::conversation::{Conversation, IMAGE_PLACEHOLDER, Role, Turn};
use super::jinja::Program;
use super::{Segment, SegmentKind, Template};
use crate::{Error, Result};

/// How the parts of a conversation are joined. Every style trains the answer and its end mark, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `{system}{gap}USER: {q}{gap}ASSISTANT: {a}{end}`
    Labelled {
        /// Names of user and assistant, without the colon.
        labels: [&'static str; 2],
        /// After the system text and after each question.
        gap: &'static str,
        /// After each answer.
        end: &'static str,
    },
    /// `{header}{system}{end}{tail}{header}{q}{end}{tail}{header}{a}{end}{tail}`
    Headed {
        /// Headers of system, user and assistant.
        headers: [&'static str; 3],
        /// The token that ends each message.
        end: &'static str,
        /// What follows it and is not trained.
        tail: &'static str,
    },
    /// `[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{q} [/INST]{lead}{a}{end}`
    Instruct {
        /// Before each turn but the first, where the tokenizer writes it.
        between: &'static str,
        /// Before each answer.
        lead: &'static str,
        /// After each answer.
        end: &'static str,
    },
    /// `{images}{a}{end}`: captions without a conversation around them.
    Plain {
        /// After each caption.
        end: &'static str,
    },
    /// Whatever the Jinja of a model folder says.
    Jinja(&'static Program),
}

/// A rendered conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The template that it follows.
    pub template: &'static Template,
    /// In order; neighbours of one kind, role and training are joined and no text is empty.
    pub segments: Vec<Segment>,
}

impl Rendered {
    /// The whole prompt, with [`IMAGE_PLACEHOLDER`] for each image.
    pub fn text(&self) -> String {
        self.segments.iter().map(Segment::text).collect()
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.segments.iter().filter(|s| s.kind == SegmentKind::Image).count()
    }
}

/// Writes `conversation`; an unanswered last turn ends where its answer starts.
pub(super) fn render(template: &'static Template, conversation: &Conversation) -> Result<Rendered> {
    let turns = conversation.turns();
    if turns.is_empty() {
        return Err(Error::Conversation("nothing has been asked".into()));
    }
    let system = conversation.system().unwrap_or(template.system);
    refuse_images("the system text", system)?;
    for answer in turns.iter().filter_map(|turn| turn.answer.as_deref()) {
        refuse_images("an answer", answer)?;
    }
    let mut script = Script { image: template.image, segments: Vec::new() };
    script.fixed(Role::System, template.bos.unwrap_or_default());
    match template.style {
        Style::Labelled { labels, gap, end } => {
            script.fixed(Role::System, system);
            script.fixed(Role::System, gap);
            script.turns(template, turns, |script, turn, _| {
                script.fixed(Role::User, labels[0]);
                script.fixed(Role::User, ": ");
                script.question(&turn.question);
                script.fixed(Role::User, gap);
                script.fixed(Role::Assistant, labels[1]);
                script.fixed(Role::Assistant, ":");
                Answer { lead: " ", end, tail: "" }
            });
        }
        Style::Headed { headers, end, tail } => {
            for part in [headers[0], system, end, tail] {
                script.fixed(Role::System, part);
            }
            script.turns(template, turns, |script, turn, _| {
                script.fixed(Role::User, headers[1]);
                script.question(&turn.question);
                script.fixed(Role::User, end);
                script.fixed(Role::User, tail);
                script.fixed(Role::Assistant, headers[2]);
                Answer { lead: "", end, tail }
            });
        }
        Style::Instruct { between, lead, end } => script.turns(template, turns, |script, turn, first| {
            script.fixed(Role::User, if first { "" } else { between });
            script.fixed(Role::User, "[INST] ");
            if first && !system.is_empty() {
                script.fixed(Role::System, "<<SYS>>\n");
                script.fixed(Role::System, system);
                script.fixed(Role::System, "\n<</SYS>>\n\n");
            }
            script.question(&turn.question);
            script.fixed(Role::User, " [/INST]");
            Answer { lead, end, tail: "" }
        }),
        Style::Plain { end } => {
            if conversation.system().is_some_and(|text| !text.is_empty()) {
                return Err(Error::Conversation(format!(
                    "template `{}` has no place for a system text",
                    template.name
                )));
            }
            if let Some(turn) =
                turns.iter().find(|turn| turn.answer.is_none() && says_something(&turn.question))
            {
                return Err(Error::Conversation(format!(
                    "template `{}` writes images and captions and would leave out the question `{}`; ask with a \
                     template for conversations",
                    template.name,
                    turn.question.replace(IMAGE_PLACEHOLDER, "").trim()
                )));
            }
            script.turns(template, turns, |script, turn, _| {
                for _ in turn.question.matches(IMAGE_PLACEHOLDER) {
                    script.question(IMAGE_PLACEHOLDER);
                }
                Answer { lead: "", end, tail: "" }
            });
        }
        Style::Jinja(program) => {
            let asked: usize =
                turns.iter().map(|turn| turn.question.matches(IMAGE_PLACEHOLDER).count()).sum();
            let image = program.image();
            if asked > 0 && image.is_none() {
                return Err(program.fault("it does not tell which of its tokens stands for an image".into()));
            }
            for stretch in program.stretches(conversation)? {
                if stretch.trained {
                    script.push(Role::Assistant, true, &stretch.text);
                } else {
                    script.cut_at(&stretch.text, image.unwrap_or(IMAGE_PLACEHOLDER));
                }
            }
            let written = script.segments.iter().filter(|s| s.kind == SegmentKind::Image).count();
            if asked != written {
                return Err(program.fault(format!(
                    "{asked} images are shown, and the prompt that it writes has {written}"
                )));
            }
        }
    }
    Ok(Rendered { template, segments: script.segments })
}

/// Whether a question is more than its images.
fn says_something(question: &str) -> bool {
    !question.replace(IMAGE_PLACEHOLDER, "").trim().is_empty()
}

fn refuse_images(what: &str, text: &str) -> Result<()> {
    if text.contains(IMAGE_PLACEHOLDER) {
        return Err(Error::Conversation(format!(
            "`{IMAGE_PLACEHOLDER}` stands in {what}; only the user can show images"
        )));
    }
    Ok(())
}

/// What surrounds an answer: `lead` and `end` are trained with it, `tail` is not.
struct Answer {
    lead: &'static str,
    end: &'static str,
    tail: &'static str,
}

struct Script {
    image: [&'static str; 2],
    segments: Vec<Segment>,
}

impl Script {
    /// The template's examples, of which nothing is trained, and then the turns. `open` writes a turn up to its
    /// answer; it is told whether the turn is the first.
    fn turns(
        &mut self,
        template: &Template,
        turns: &[Turn],
        open: impl Fn(&mut Self, &Turn, bool) -> Answer,
    ) {
        let examples = template
            .examples
            .iter()
            .map(|&(q, a)| (Turn { question: q.to_owned(), answer: Some(a.to_owned()) }, false));
        let all = examples.chain(turns.iter().map(|turn| (turn.clone(), true)));
        for (index, (turn, trained)) in all.enumerate() {
            let around = open(self, &turn, index == 0);
            if let Some(text) = &turn.answer {
                for part in [around.lead, text, around.end] {
                    self.push(Role::Assistant, trained, part);
                }
                self.fixed(Role::Assistant, around.tail);
            }
        }
    }

    fn fixed(&mut self, role: Role, text: &str) {
        self.push(role, false, text);
    }

    fn question(&mut self, text: &str) {
        self.cut_at(text, IMAGE_PLACEHOLDER);
    }

    /// `text` with an image wherever `image` stands.
    fn cut_at(&mut self, text: &str, image: &str) {
        for (index, part) in text.split(image).enumerate() {
            if index > 0 {
                self.fixed(Role::User, self.image[0]);
                self.segments.push(Segment { kind: SegmentKind::Image, role: Role::User, trained: false });
                self.fixed(Role::User, self.image[1]);
            }
            self.fixed(Role::User, part);
        }
    }

    fn push(&mut self, role: Role, trained: bool, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Segment { kind: SegmentKind::Text(before), role: r, trained: t }) =
            self.segments.last_mut()
            && *r == role
            && *t == trained
        {
            before.push_str(text);
        } else {
            self.segments.push(Segment { kind: SegmentKind::Text(text.to_owned()), role, trained });
        }
    }
}
