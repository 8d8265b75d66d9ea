//! What a run would cost, before anything is spent.

use zoo_measure::memory;

use super::log::Step;
use super::trainer::Run;
use crate::Result;

/// Memory that recomputation saves, at most, as a multiple of what is left: a pass that may need as much is not tried.
const SAVES: u64 = 8;

/// What steps took that computed the inside of blocks in one way.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StepCost {
    /// Of the fastest step.
    pub seconds: f64,
    /// Bytes that the process held at most, where the system tells.
    pub peak_bytes: Option<u64>,
}

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
    /// Whether the recipe has blocks computed a second time.
    pub recompute: bool,
    /// What a step costs so; and when the inside of blocks is kept, unless that may need more memory than there is.
    pub recomputed: StepCost,
    /// See `recomputed`.
    pub kept: Option<StepCost>,
}

impl Run {
    /// Measures `count` steps and forgets what they taught; and as many in the other way of [`StepCost`].
    ///
    /// # Errors
    /// As [`Run::train`].
    pub fn estimate(mut self, count: usize) -> Result<Estimate> {
        let count = count.min(self.steps);
        // First what takes less: memory that was held once is not always given back.
        let before = memory::resident();
        let (with, recomputed) = self.measure(count, true)?;
        let recompute = self.recipe.plan.recompute;
        let held = recomputed.peak_bytes.zip(before).map(|(peak, before)| peak.saturating_sub(before));
        let fits = held.zip(memory::available()).is_some_and(|(held, free)| SAVES * held < free);
        let (mut measured, mut kept) = (with.clone(), None);
        let mut losses: Vec<f64> = with.iter().filter_map(|step| step.loss).collect();
        if !recompute || fits {
            let (without, cost) = self.measure(count, false)?;
            losses.extend(without.iter().filter_map(|step| step.loss));
            kept = Some(cost);
            if !recompute {
                measured = without;
            }
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
            losses,
            recompute,
            recomputed,
            kept,
        })
    }

    fn measure(&mut self, count: usize, recomputes: bool) -> Result<(Vec<Step>, StepCost)> {
        self.recomputes = recomputes;
        memory::forget_peak();
        let steps = (0..count).map(|_| self.step()).collect::<Result<Vec<_>>>()?;
        let seconds = steps.iter().map(|step| step.seconds).fold(f64::INFINITY, f64::min);
        Ok((steps, StepCost { seconds, peak_bytes: memory::peak() }))
    }
}
