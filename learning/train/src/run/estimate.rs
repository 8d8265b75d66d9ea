//! What a run would cost, before anything is spent.

use super::log::Step;
use super::trainer::Run;
use crate::Result;

/// What a run would cost, measured on a few steps.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// Name, rate, tensors and parameters of each group.
    pub groups: Vec<(String, f64, usize, usize)>,
    /// Parameters of connector and language model that are not trained.
    pub frozen: u64,
    /// Sound records.
    pub records: usize,
    /// Steps of the whole run.
    pub steps: usize,
    /// Positions of a step, on average.
    pub tokens_per_step: f64,
    /// Seconds of a step, on average.
    pub seconds_per_step: f64,
    /// Bytes of the weights of connector and language model, as they are computed with.
    pub weight_bytes: u64,
    /// Bytes of trained values, their gradients and their moments, in f32.
    pub optimiser_bytes: u64,
    /// Bytes that the features of one image take on a disk where the recipe keeps them (`features`).
    pub feature_bytes: u64,
    /// Positions of the longest sequence that is read.
    pub max_length: usize,
    /// Positions of the longest batch of the steps that were measured: samples stand one behind the other.
    pub longest_batch: usize,
    /// Tokens of the largest image that was measured, and the language model's width.
    pub image_tokens: usize,
    /// See `image_tokens`.
    pub width: usize,
    /// Losses of the steps that were measured.
    pub losses: Vec<f64>,
}

impl Run {
    /// Measures `count` steps and forgets what they taught.
    ///
    /// # Errors
    /// As [`Run::train`].
    pub fn estimate(mut self, count: usize) -> Result<Estimate> {
        let mut measured = Vec::new();
        for _ in 0..count.min(self.steps) {
            measured.push(self.step()?);
        }
        let mean = |of: fn(&Step) -> f64| measured.iter().map(of).sum::<f64>() / measured.len().max(1) as f64;
        let groups = self.optimiser.groups().into_iter();
        let groups: Vec<_> = groups
            .map(|(group, tensors, numbers)| (group.name.clone(), group.rate, tensors, numbers))
            .collect();
        let trained: usize = groups.iter().map(|(_, _, _, numbers)| numbers).sum();
        let pieces = self.learner.pieces();
        let all = pieces.connector.iter().chain([&pieces.llm]).flat_map(|piece| &piece.tensors);
        let stays = all.clone().filter(|tensor| !self.optimiser.slots().contains_key(&tensor.key));
        let numbers = |tensor: &zoo_core::weights::TensorInfo| tensor.shape.iter().product::<usize>() as u64;
        let frozen = stays.map(numbers).sum();
        let all_parameters: u64 = all.map(numbers).sum();
        Ok(Estimate {
            groups,
            frozen,
            records: self.data.len(),
            steps: self.steps,
            tokens_per_step: mean(|step| step.tokens as f64),
            seconds_per_step: mean(|step| step.seconds),
            weight_bytes: all_parameters * self.recipe.plan.precision.dtype().size_in_bytes() as u64,
            max_length: self.learner.max_length(),
            longest_batch: self.learner.longest(),
            image_tokens: self.learner.image_tokens(),
            width: self.learner.width(),
            optimiser_bytes: 16 * trained as u64,
            feature_bytes: self.learner.feature_bytes(),
            losses: measured.iter().filter_map(|step| step.loss).collect(),
        })
    }
}
