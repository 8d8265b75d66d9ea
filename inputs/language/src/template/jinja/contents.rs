//! What a template wants as the `content` of a message: text, or a list of parts as transformers hands it over. The
//! template is asked: it is run both ways, and what it drops or quotes it does not understand.

use super::{Message, Program, mark};
use crate::Result;
use crate::template::{IMAGE_PLACEHOLDER, Role};

/// How the content of messages is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// A string, with [`IMAGE_PLACEHOLDER`] where an image stands.
    Text,
    /// `[{"type": "image"}, {"type": "text", "text": …}]`
    Parts,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ContentPart {
    Image,
    Text(String),
    /// A text with a key that nobody reads: where its value is shown, a template writes out what it was given instead
    /// of reading it.
    Marked(String, String),
}

/// What a template understands, by role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    system: Content,
    user: Content,
    assistant: Content,
    /// What stands for an image in what the template writes, where that can be told.
    pub image: Option<String>,
}

impl Contents {
    /// Every role as text.
    pub const TEXT: Self =
        Self { system: Content::Text, user: Content::Text, assistant: Content::Text, image: None };

    pub fn of(&self, role: Role) -> Content {
        match role {
            Role::System => self.system,
            Role::User => self.user,
            Role::Assistant => self.assistant,
        }
    }

    /// Asks `program`. `known` are the names by which the folder calls its image token.
    ///
    /// # Errors
    /// Those of the template, where it can be given a question in neither form.
    pub fn probe(program: &Program, known: &[String]) -> Result<Self> {
        let mut contents = Self::TEXT;
        let user = |content: Vec<ContentPart>| vec![Message { role: Role::User, content }];
        let as_text = program.write(&contents, &user(vec![ContentPart::Text(mark(0))]), true);
        contents.user = Content::Parts;
        let as_parts = program.write(&contents, &user(marked()), true);
        let understood = as_parts.as_ref().is_ok_and(|text| reads(text));
        let image = match &as_parts {
            Ok(without) if understood => {
                let with = [vec![ContentPart::Image], marked()].concat();
                let with = program.write(&contents, &user(with), true);
                with.ok().filter(|with| reads(with) && with != without).map(|with| (with, without.clone()))
            }
            _ => None,
        };
        let text_is_read = as_text.as_ref().is_ok_and(|text| text.contains(&mark(0)));
        if understood && (image.is_some() || !text_is_read) {
            contents.image = image.and_then(|(with, without)| image_token(&with, &without, known));
        } else {
            contents.user = Content::Text;
            as_text?;
        }
        contents.assistant = contents.other(program, Role::Assistant);
        contents.system = contents.other(program, Role::System);
        Ok(contents)
    }

    /// How another role's content is handed over: as the user's, unless only the other form is understood.
    fn other(&self, program: &Program, role: Role) -> Content {
        let understands = |content: Content| {
            let mut contents = self.clone();
            match role {
                Role::System => contents.system = content,
                _ => contents.assistant = content,
            }
            let question = Message { role: Role::User, content: vec![ContentPart::Text("q".into())] };
            let asked = Message { role, content: marked() };
            let messages = if role == Role::System { [asked, question] } else { [question, asked] };
            program.write(&contents, &messages, role == Role::System).is_ok_and(|text| reads(&text))
        };
        let other = match self.user {
            Content::Text => Content::Parts,
            Content::Parts => Content::Text,
        };
        if !understands(self.user) && understands(other) { other } else { self.user }
    }
}

/// A text to be looked for, beside one that must not be shown.
fn marked() -> Vec<ContentPart> {
    vec![ContentPart::Marked(mark(0), mark(1))]
}

fn reads(text: &str) -> bool {
    text.contains(&mark(0)) && !text.contains(&mark(1))
}

/// Tokens that published models write for an image.
const IMAGE_TOKENS: [&str; 9] = [
    IMAGE_PLACEHOLDER,
    "<|image_pad|>",
    "<|image|>",
    "<image_soft_token>",
    "<start_of_image>",
    "<IMG_CONTEXT>",
    "<|image_1|>",
    "<|media_pad|>",
    "[IMG]",
];

/// The token that `with` has once more than `without`: one that the folder names, one that is known, or the only one.
fn image_token(with: &str, without: &str, known: &[String]) -> Option<String> {
    let added = |token: &str| with.matches(token).count() == without.matches(token).count() + 1;
    let named = known.iter().map(String::as_str).chain(IMAGE_TOKENS);
    if let Some(token) = named.into_iter().find(|token| added(token)) {
        return Some(token.to_owned());
    }
    let mut tokens: Vec<&str> = bracketed(with).into_iter().filter(|token| added(token)).collect();
    tokens.dedup();
    match tokens.as_slice() {
        [only] => Some((*only).to_owned()),
        _ => None,
    }
}

/// Everything of the form `<…>` without white space.
fn bracketed(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices('<') {
        let end = text[start + 1..].find(|c: char| c == '>' || c == '<' || c.is_whitespace());
        if let Some(end) = end.map(|end| start + 1 + end).filter(|end| text[*end..].starts_with('>')) {
            found.push(&text[start..=end]);
        }
    }
    found
}

/// The parts of a question. The line break between a placeholder and the text beside it is that of released models
/// without such a template, and no part of the question.
pub(super) fn parts(question: &str) -> Vec<ContentPart> {
    let mut parts = Vec::new();
    let pieces: Vec<&str> = question.split(IMAGE_PLACEHOLDER).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let piece = if index > 0 { piece.strip_prefix('\n').unwrap_or(piece) } else { piece };
        let last = index + 1 == pieces.len();
        let piece = if last { piece } else { piece.strip_suffix('\n').unwrap_or(piece) };
        if index > 0 {
            parts.push(ContentPart::Image);
        }
        if !piece.is_empty() {
            parts.push(ContentPart::Text(piece.to_owned()));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_cut_at_their_images() {
        let text = |text: &str| ContentPart::Text(text.to_owned());
        for (question, expected) in [
            ("<image>\nWhat?", vec![ContentPart::Image, text("What?")]),
            ("What?\n<image>", vec![text("What?"), ContentPart::Image]),
            ("a<image>b\n\nc", vec![text("a"), ContentPart::Image, text("b\n\nc")]),
            ("\nplain\n", vec![text("\nplain\n")]),
            ("<image>", vec![ContentPart::Image]),
        ] {
            assert_eq!(parts(question), expected, "{question:?}");
        }
    }

    #[test]
    fn the_image_token_is_the_one_that_is_added() {
        let with = "<s><|vision_start|><|image_pad|><|vision_end|>q<e>";
        assert_eq!(image_token(with, "<s>q<e>", &[]).as_deref(), Some("<|image_pad|>"));
        let known = ["<|vision_end|>".to_owned()];
        assert_eq!(image_token(with, "<s>q<e>", &known).as_deref(), Some("<|vision_end|>"));
        assert_eq!(image_token("<s><pic>q", "<s>q", &[]).as_deref(), Some("<pic>"));
        assert_eq!(image_token("<s><a><b>q", "<s>q", &[]), None);
        assert_eq!(image_token("a < b <c", "a", &[]), None);
    }
}
