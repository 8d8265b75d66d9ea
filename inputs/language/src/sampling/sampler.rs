//! Draws tokens one after the other.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::{Sampling, distribution};
use crate::{Error, Result};

/// Settings, banned ids and the state of the random numbers of one answer.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    banned: Vec<u32>,
    random: ChaCha8Rng,
}

impl Sampler {
    /// A sampler that never gives a `banned` id.
    ///
    /// # Errors
    /// As [`Sampling::validate`].
    pub fn new(sampling: Sampling, banned: Vec<u32>) -> Result<Self> {
        sampling.validate()?;
        let random = ChaCha8Rng::seed_from_u64(sampling.seed);
        Ok(Self { sampling, banned, random })
    }

    /// The token after `history`, given one logit per id. Uses one random number, or none with temperature 0.
    ///
    /// # Errors
    /// As [`distribution`].
    pub fn next(&mut self, logits: &[f32], history: &[u32]) -> Result<u32> {
        let candidates = distribution(logits, history, &self.banned, &self.sampling)?;
        let mut point = if self.sampling.temperature == 0.0 { 0.0 } else { self.uniform() };
        for candidate in &candidates {
            point -= candidate.probability;
            if point < 0.0 {
                return Ok(candidate.id);
            }
        }
        // The probabilities sum to 1 up to rounding.
        candidates.last().map(|c| c.id).ok_or_else(|| Error::Sampling("no token is left".into()))
    }

    /// Uniform in [0, 1), with the 53 bits that an f64 holds.
    fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
