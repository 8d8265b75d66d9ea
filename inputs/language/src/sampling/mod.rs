//! From logits to the next token.
//!
//! The order is that of Hugging Face transformers, so that settings carry over: repetition penalty, banned ids,
//! temperature, top-k, top-p, min-p, draw. Each filter sees the probabilities that the one before left,
//! renormalised. Everything is computed in f64 from f32 logits. Equal logits are ordered by id, so that greedy
//! search and the filters have one answer.

mod distribution;
mod sampler;

pub(crate) use distribution::score_log_probabilities;
pub use distribution::{Candidate, distribution, log_probabilities};
pub use sampler::Sampler;

use crate::{Error, Result};

/// How the next token is chosen. The default is greedy search.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the most probable token and ignores the filters and the seed.
    pub temperature: f64,
    /// Only this many of the highest logits (and those equal to the last of them).
    pub top_k: Option<usize>,
    /// The fewest tokens whose probabilities reach this sum: 0 exclusive to 1 inclusive.
    pub top_p: Option<f64>,
    /// Only tokens at least this fraction as probable as the most probable one: 0 to 1.
    pub min_p: Option<f64>,
    /// Positive logits of tokens that were generated before are divided by it, negative ones multiplied (Keskar
    /// et al., arXiv 1909.05858); 1 changes nothing. Counted are generated tokens and not the prompt, because the
    /// reference hands its prompt over as embeddings.
    pub repetition_penalty: f64,
    /// Of the random numbers (ChaCha8). The same seed, settings and logits give the same tokens everywhere.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: None, top_p: None, min_p: None, repetition_penalty: 1.0, seed: 42 }
    }
}

impl Sampling {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`Error::Sampling`] naming the setting and its range.
    pub fn validate(&self) -> Result<()> {
        let fail = |name: &str, value: f64, range: &str| {
            Err(Error::Sampling(format!("{name} is {value}; it must be {range}")))
        };
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return fail("temperature", self.temperature, "0 (greedy) or more");
        }
        if self.top_k == Some(0) {
            return fail("top-k", 0.0, "1 or more");
        }
        if let Some(p) = self.top_p
            && !(p > 0.0 && p <= 1.0)
        {
            return fail("top-p", p, "above 0 and at most 1");
        }
        if let Some(p) = self.min_p
            && !(0.0..=1.0).contains(&p)
        {
            return fail("min-p", p, "from 0 to 1");
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return fail("repetition penalty", self.repetition_penalty, "above 0");
        }
        Ok(())
    }
}
