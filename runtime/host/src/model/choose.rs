//! Choosing among given answers by how probable the model finds them.

use zoo_language::generate::Generator;
use zoo_language::template::Conversation;
use zoo_language::tokens::{IGNORE_LABEL, Tokenized};

use super::session::ModelSession;
use super::sight::Sight;
use crate::HostError;

/// A given answer and how probable it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The answer.
    pub text: String,
    /// Natural log-likelihood of its tokens, without the end mark.
    pub sum: f64,
    /// Number of its tokens.
    pub tokens: usize,
}

impl Choice {
    /// Log-likelihood per token, by which answers of different lengths compare fairly.
    pub fn per_token(&self) -> f64 {
        self.sum / self.tokens as f64
    }
}

impl ModelSession {
    /// How probable each of `answers` is as the answer to the open question of `conversation`, in their order.
    ///
    /// # Errors
    /// As [`ModelSession::answer`]; [`HostError::Conversation`] for an answer that is empty or whose first token would
    /// join the prompt's last one.
    pub fn choose(
        &self,
        conversation: &Conversation,
        sight: &Sight,
        answers: &[String],
    ) -> Result<Vec<Choice>, HostError> {
        let prompt = self.prompt(conversation)?;
        let options =
            answers.iter().map(|a| self.option(conversation, &prompt, a)).collect::<Result<Vec<_>, _>>()?;
        let assembled = self.assemble(&prompt, sight)?;
        let generator = Generator::new(self.llm()?, self.tokenizer());
        let sums = self.hooked(sight, &assembled, |hook| {
            Ok(generator.log_likelihoods(&assembled.embeddings, hook, &options)?)
        })?;
        let choice = |((text, ids), sum): ((&String, &Vec<u32>), f64)| Choice {
            text: text.clone(),
            sum,
            tokens: ids.len(),
        };
        Ok(answers.iter().zip(&options).zip(sums).map(choice).collect())
    }

    /// The tokens of `answer` as they stand in the conversation, without the end mark.
    fn option(
        &self,
        conversation: &Conversation,
        prompt: &Tokenized,
        answer: &str,
    ) -> Result<Vec<u32>, HostError> {
        let mut answered = conversation.clone();
        answered.answer(answer)?;
        let whole = self.prompt(&answered)?;
        let fault = |what: &str| HostError::Conversation(format!("the answer `{answer}` {what}"));
        let length = prompt.ids.len();
        if whole.ids.get(..length) != Some(&prompt.ids) {
            return Err(fault("does not begin at the border of a token of this model"));
        }
        let trained = whole.labels[length..].iter().filter(|label| **label != IGNORE_LABEL);
        let mut ids: Vec<u32> = trained.filter_map(|&id| u32::try_from(id).ok()).collect();
        let ends: Vec<u32> =
            self.template().stops.iter().filter_map(|stop| self.tokenizer().id(stop)).collect();
        while ids.last().is_some_and(|id| ends.contains(id)) {
            ids.pop();
        }
        if ids.is_empty() {
            return Err(fault("has no tokens"));
        }
        Ok(ids)
    }
}
