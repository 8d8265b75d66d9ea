//! Which samples a step learns from: a pure function of recipe and data, so that a run can go on anywhere.

use zoo_data::Dataset;

use crate::order::{Rng, order};
use crate::recipe::{Order, Recipe};

/// The samples of a run in their order.
pub(super) struct Course {
    kind: Order,
    size: usize,
    batches: usize,
    seed: u64,
    lengths: Vec<i32>,
    /// Source of each sample, and how often each source comes in an epoch.
    sources: Vec<usize>,
    weights: Vec<f64>,
    samples: usize,
    /// An epoch and its order.
    epoch: Option<(usize, Vec<usize>)>,
}

impl Course {
    pub fn new(recipe: &Recipe, data: &Dataset) -> Self {
        let plan = &recipe.plan;
        let sources: Vec<usize> = (0..data.len()).map(|sample| data.source(sample)).collect();
        let weights: Vec<f64> = plan.data.iter().map(|row| *row.weight.get_ref()).collect();
        Self {
            kind: plan.batch.order,
            size: *plan.batch.size.get_ref(),
            batches: *plan.batch.accumulate.get_ref(),
            seed: plan.seed,
            lengths: data.lengths(),
            samples: mixture(&sources, &weights, plan.seed, 0).len(),
            sources,
            weights,
            epoch: None,
        }
    }

    /// Samples of an epoch.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The samples of step `step`, from 0.
    pub fn step(&mut self, step: usize) -> Vec<usize> {
        let together = self.size * self.batches;
        let per_epoch = self.samples.div_ceil(together).max(1);
        let (epoch, within) = (step / per_epoch, step % per_epoch);
        let fresh = self.epoch.as_ref().is_none_or(|(of, _)| *of != epoch);
        if fresh {
            let all = mixture(&self.sources, &self.weights, self.seed, epoch as u64);
            let lengths: Vec<i32> = all.iter().map(|&sample| self.lengths[sample]).collect();
            let places = order(self.kind, &lengths, self.size, self.batches, self.seed, epoch as u64);
            self.epoch = Some((epoch, places.into_iter().map(|place| all[place]).collect()));
        }
        let order = self.epoch.as_ref().map_or(&[][..], |(_, order)| order);
        order.iter().skip(within * together).take(together).copied().collect()
    }
}

/// The samples of an epoch in the order of the files: those of a source of weight `w` come `w` times, and where that is
/// no whole number, so many of them, by chance, once more.
fn mixture(sources: &[usize], weights: &[f64], seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = Rng::new(seed, u64::MAX - epoch);
    let mut extra = vec![false; sources.len()];
    for (source, weight) in weights.iter().enumerate() {
        let mut own: Vec<usize> = (0..sources.len()).filter(|&sample| sources[sample] == source).collect();
        let count = (weight.fract() * own.len() as f64).round() as usize;
        if count > 0 {
            rng.shuffle(&mut own);
            own.iter().take(count).for_each(|&sample| extra[sample] = true);
        }
    }
    let times = |sample: usize| weights[sources[sample]].floor() as usize + usize::from(extra[sample]);
    (0..sources.len()).flat_map(|sample| std::iter::repeat_n(sample, times(sample))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_come_as_often_as_their_weights_say() {
        let sources: Vec<usize> = (0..30).map(|sample| usize::from(sample >= 10)).collect();
        let count = |epoch, weights: [f64; 2]| {
            let all = mixture(&sources, &weights, 7, epoch);
            let of = |source| all.iter().filter(|&&sample| sources[sample] == source).count();
            [of(0), of(1)]
        };
        assert_eq!(count(0, [1.0, 1.0]), [10, 20]);
        assert_eq!(count(0, [2.5, 0.25]), [25, 5]);
        assert_eq!(count(3, [0.0, 1.0]), [0, 20]);
        assert_eq!(mixture(&sources, &[1.0, 1.0], 7, 0), (0..30).collect::<Vec<_>>());
        // Others in another epoch, the same in the same.
        let of = |epoch| mixture(&sources, &[1.0, 0.25], 7, epoch);
        assert_eq!(of(0), of(0));
        assert_ne!(of(0), of(1));
    }
}
