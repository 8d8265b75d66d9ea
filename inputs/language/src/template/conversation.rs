//! Who said what.

use crate::{Error, Result};

/// Stands in a user's message for an image.
pub const IMAGE_PLACEHOLDER: &str = "<image>";

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The instructions that everything else stands under.
    System,
    /// The person, `human` in LLaVA's data files.
    User,
    /// The model, `gpt` in LLaVA's data files.
    Assistant,
}

/// A question and, unless it is the one to be answered now, its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// With [`IMAGE_PLACEHOLDER`] where an image stands.
    pub question: String,
    /// Without images.
    pub answer: Option<String>,
}

/// Turns in which only the last one may be unanswered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    system: Option<String>,
    turns: Vec<Turn>,
}

impl Conversation {
    /// Nothing said yet, with the template's own system text.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the template's system text.
    #[must_use]
    pub fn with_system(mut self, text: impl Into<String>) -> Self {
        self.system = Some(text.into());
        self
    }

    /// A conversation out of a list of messages, as data files have them: user and assistant alternate. As in
    /// LLaVA, a first message of the assistant is skipped; a first message of the system becomes the system text.
    ///
    /// # Errors
    /// [`Error::Conversation`] naming the message (from 0) that is out of turn.
    pub fn from_messages<'a>(messages: impl IntoIterator<Item = (Role, &'a str)>) -> Result<Self> {
        let mut conversation = Self::new();
        for (index, (role, text)) in messages.into_iter().enumerate() {
            match role {
                Role::System if index == 0 => conversation.system = Some(text.to_owned()),
                Role::System => {
                    return Err(Error::Conversation(format!(
                        "message {index} is of the system, which may speak only first"
                    )));
                }
                Role::User => conversation.ask(text).map_err(|_| out_of_turn(index, "user"))?,
                Role::Assistant if conversation.turns.is_empty() => {}
                Role::Assistant => {
                    conversation.answer(text).map_err(|_| out_of_turn(index, "assistant"))?;
                }
            }
        }
        Ok(conversation)
    }

    /// The user's next message.
    ///
    /// # Errors
    /// [`Error::Conversation`] when the previous one is not answered yet.
    pub fn ask(&mut self, question: impl Into<String>) -> Result<()> {
        if self.turns.last().is_some_and(|turn| turn.answer.is_none()) {
            return Err(Error::Conversation("the previous question is not answered yet".into()));
        }
        self.turns.push(Turn { question: question.into(), answer: None });
        Ok(())
    }

    /// The user's next message about one image: the placeholder on a line of its own, then the question, as the
    /// released models were trained.
    ///
    /// # Errors
    /// As [`Conversation::ask`].
    pub fn ask_about_image(&mut self, question: &str) -> Result<()> {
        self.ask(format!("{IMAGE_PLACEHOLDER}\n{question}"))
    }

    /// The assistant's answer to the last question.
    ///
    /// # Errors
    /// [`Error::Conversation`] when no question is open.
    pub fn answer(&mut self, answer: impl Into<String>) -> Result<()> {
        match self.turns.last_mut() {
            Some(turn) if turn.answer.is_none() => {
                turn.answer = Some(answer.into());
                Ok(())
            }
            _ => Err(Error::Conversation("there is no open question to answer".into())),
        }
    }

    /// The system text that replaces the template's.
    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    /// All turns so far.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }
}

fn out_of_turn(index: usize, role: &str) -> Error {
    Error::Conversation(format!(
        "message {index} is a second one of the {role} in a row; user and assistant must alternate"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(messages: &[(Role, &str)], expected: Result<usize, &str>) {
        match (Conversation::from_messages(messages.iter().copied()), expected) {
            (Ok(conversation), Ok(turns)) => assert_eq!(conversation.turns().len(), turns),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expected) => panic!("{got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn roles_alternate() {
        use Role::{Assistant, System, User};
        check(&[(User, "q"), (Assistant, "a"), (User, "r")], Ok(2));
        check(&[(System, "s"), (User, "q")], Ok(1));
        check(&[(Assistant, "skipped"), (User, "q"), (Assistant, "a")], Ok(1));
        check(&[(User, "q"), (User, "r")], Err("message 1 is a second one of the user"));
        check(
            &[(User, "q"), (Assistant, "a"), (Assistant, "b")],
            Err("message 2 is a second one of the assistant"),
        );
        check(&[(User, "q"), (System, "s")], Err("message 1 is of the system"));
    }
}
