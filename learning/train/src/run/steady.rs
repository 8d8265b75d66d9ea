//! Whether a run still learns: a loss that is no number, and one that explodes.

use std::collections::VecDeque;

/// Steps whose losses a new one is held against.
const WINDOW: usize = 32;
/// Of these, as many as there must be.
const FEWEST: usize = 8;

/// The losses of the last steps.
#[derive(Debug, Clone)]
pub(super) struct Steady {
    recent: VecDeque<f64>,
    /// A loss this many times the mean of those before is an explosion; 0 for never.
    times: f64,
    /// The loss of who guesses: below it nothing has exploded, however good it was before.
    guess: f64,
}

impl Steady {
    /// For a vocabulary of so many tokens.
    pub fn new(times: f64, vocabulary: usize) -> Self {
        Self { recent: VecDeque::with_capacity(WINDOW), times, guess: (vocabulary.max(2) as f64).ln() }
    }

    /// Whether `loss` is far above those before.
    pub fn explodes(&self, loss: f64) -> bool {
        let mean = self.recent.iter().sum::<f64>() / self.recent.len().max(1) as f64;
        self.times > 0.0 && self.recent.len() >= FEWEST && loss > self.guess && loss > self.times * mean
    }

    /// A step came to this loss.
    pub fn push(&mut self, loss: f64) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(loss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_far_above_the_others_and_above_a_guess_is_an_explosion() {
        let of = |before: f64, count, times, loss| {
            let mut steady = Steady::new(times, 1000);
            (0..count).for_each(|_| steady.push(before));
            steady.explodes(loss)
        };
        // A guess among 1000 costs 6.9.
        assert!(of(2.0, 8, 4.0, 8.1));
        assert!(!of(2.0, 8, 4.0, 7.9), "not four times as much");
        assert!(!of(0.1, 8, 4.0, 6.8), "no worse than a guess");
        assert!(!of(2.0, 7, 4.0, 80.0), "too few steps to tell");
        assert!(!of(2.0, 8, 0.0, 80.0), "nobody asked");
        assert!(of(2.0, 100, 4.0, f64::INFINITY));
    }
}
