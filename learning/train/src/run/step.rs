//! One step of the optimiser.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zoo_core::CallContext;
use zoo_data::Flaw;
use zoo_nn::autograd::backward;

use super::ahead::Fetched;
use super::log::{Step, now};
use super::schedule::factor;
use super::trainer::Run;
use crate::{Error, Result};

/// Samples that a message names at most.
const NAMED: usize = 32;

/// What the batches of a step came to that one process took.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Share {
    /// Place and loss of those of which something is trained; as bits, since what is no number has no place in JSON.
    losses: Vec<(usize, u32)>,
    samples: usize,
    tokens: usize,
    trained: usize,
    cut: usize,
    /// Place of their batch, and samples that were left out.
    skipped: Vec<(usize, Flaw)>,
}

impl Share {
    /// Those of all processes, whichever took which batch.
    fn sum(shares: Vec<Self>) -> Self {
        let mut all = Self::default();
        for share in shares {
            all.losses.extend(share.losses);
            all.samples += share.samples;
            all.tokens += share.tokens;
            all.trained += share.trained;
            all.cut += share.cut;
            all.skipped.extend(share.skipped);
        }
        all.losses.sort_unstable();
        all.skipped.sort_by_key(|(batch, _)| *batch);
        all
    }

    /// The mean loss, and the batch whose loss is no number.
    fn loss(&self) -> (Option<f64>, Option<usize>) {
        let losses = || self.losses.iter().map(|(batch, bits)| (*batch, f32::from_bits(*bits)));
        let bad = losses().find(|(_, loss)| !loss.is_finite()).map(|(batch, _)| batch);
        let sum: f32 = losses().map(|(_, loss)| loss).sum();
        ((!self.losses.is_empty()).then(|| f64::from(sum) / self.losses.len() as f64), bad)
    }
}

impl Run {
    pub(super) fn step(&mut self) -> Result<Step> {
        let (begun, number) = (Instant::now(), self.optimiser.steps);
        let plan = &self.recipe.plan;
        let factor = factor(plan.schedule.shape, *plan.schedule.warmup.get_ref(), number, self.steps);
        let (size, seed, rates) = (*plan.batch.size.get_ref(), plan.seed, self.optimiser.groups());
        let rates = rates.into_iter().map(|(group, ..)| (group.name.clone(), group.rate * factor)).collect();
        let indices = self.course.step(number);
        let batches: Vec<&[usize]> = indices.chunks(size).collect();
        // Dealt in turn, so that all processes have equally many, or one more.
        let (rank, processes) = self.place();
        let own: Vec<usize> = (rank..batches.len()).step_by(processes).collect();
        let mut share = Share::default();
        for (k, &batch) in own.iter().enumerate() {
            if let Some(next) = own.get(k + 1) {
                self.foresee(batches[*next]);
            }
            let seed = self::seed(seed, self.samples, batch);
            let context = CallContext::current().with_seed(seed).recomputing(self.recomputes);
            if !context.scope(|| self.batch(batch, batches[batch], &mut share))?.is_finite() {
                break;
            }
        }
        let totals = Share::sum(self.world.gather(share)?);
        let (loss, bad) = totals.loss();
        if let (0, None, Some((_, flaw))) = (self.samples, loss, totals.skipped.first()) {
            let message = format!("no sample of the first step can be learnt from; the first: {flaw}");
            return Err(zoo_data::Error::Data { path: self.recipe.name.clone().into(), message }.into());
        }
        let diverged = |what, value| {
            let samples = bad.map_or(indices.as_slice(), |batch| batches[batch]);
            let mut batch: Vec<String> = samples.iter().take(NAMED).map(|&i| self.data.place(i)).collect();
            if samples.len() > NAMED {
                batch.push(format!("and {} more", samples.len() - NAMED));
            }
            Err(Error::Diverged { step: number + 1, what, value, batch: batch.join(", ") })
        };
        if let Some(loss) = loss {
            if !loss.is_finite() {
                return diverged("loss", loss);
            }
            if self.steady.explodes(loss) {
                return diverged("exploding loss", loss);
            }
            self.steady.push(loss);
        }
        if processes > 1 {
            let world = &mut self.world;
            self.optimiser.exchange(|gradients| world.sum(gradients))?;
        }
        let gradient_norm = self.optimiser.step(totals.losses.len(), factor);
        if !gradient_norm.is_finite() {
            return diverged("norm of the gradient", gradient_norm);
        }
        self.hand_over()?;
        // The next one's first images, while somebody writes a checkpoint.
        if number + 1 < self.steps {
            let next = self.course.step(number + 1);
            self.foresee(next.chunks(size).nth(rank).unwrap_or_default());
        }
        self.samples += totals.samples as u64;
        self.skipped += totals.skipped.len() as u64;
        Ok(Step {
            step: number + 1,
            loss,
            gradient_norm,
            rates,
            samples: totals.samples,
            tokens: totals.tokens,
            trained_tokens: totals.trained,
            cut: totals.cut,
            skipped: totals.skipped.into_iter().map(|(_, flaw)| flaw).collect(),
            seconds: begun.elapsed().as_secs_f64(),
            time: now(),
            steps: self.steps,
        })
    }

    /// Adds the gradient of batch `number` of a step; its loss, 0 where nothing in it is trained.
    fn batch(&mut self, number: usize, indices: &[usize], share: &mut Share) -> Result<f32> {
        let mut samples = Vec::with_capacity(indices.len());
        for &index in indices {
            match self.learner.sample(self.data.place(index), self.ahead.take(index)?)? {
                Ok(sample) => samples.push(sample),
                Err(flaw) => share.skipped.push((number, flaw)),
            }
        }
        let outcome = self.learner.loss(&samples)?;
        share.skipped.extend(outcome.flaws.into_iter().map(|flaw| (number, flaw)));
        share.samples += indices.len();
        share.tokens += outcome.positions;
        share.trained += outcome.trained;
        share.cut += outcome.cut;
        let Some(loss) = outcome.loss else { return Ok(0.0) };
        let value = loss.to_scalar::<f32>()?;
        share.losses.push((number, value.to_bits()));
        if !value.is_finite() {
            return Ok(value);
        }
        let gradients = backward(&loss)?;
        for (key, var) in self.learner.variables() {
            if let Some(gradient) = gradients.get(var) {
                self.optimiser.add(key, gradient)?;
            }
        }
        for looked in samples.iter().filter_map(|sample| sample.image.as_ref()) {
            let optimiser = &mut self.optimiser;
            self.learner
                .towers()
                .gradients(looked, &gradients, |key, gradient| optimiser.add(key, gradient))?;
        }
        Ok(value)
    }

    /// Has samples read, and their images decoded, that come soon.
    fn foresee(&mut self, indices: &[usize]) {
        indices.iter().for_each(|&index| self.ahead.ask(index));
    }

    /// The loss of a sound record as the model is now; nothing where it cannot be used.
    ///
    /// # Errors
    /// As [`Run::train`].
    pub fn loss(&self, sample: usize) -> Result<Option<f64>> {
        let fetched = Fetched::now(&self.data, sample, self.learner.towers().kept().map(AsRef::as_ref))?;
        let Ok(sample) = self.learner.sample(self.data.place(sample), fetched)? else { return Ok(None) };
        let loss = self.learner.loss(&[sample])?.loss;
        Ok(loss.map(|loss| loss.to_scalar::<f32>()).transpose()?.map(f64::from))
    }
}

/// What decides what is random in the pass of a batch of the step that begins after so many samples. Never 0.
fn seed(seed: u64, samples: u64, batch: usize) -> u64 {
    let text = Sha256::digest(format!("{seed} {samples} {batch}"));
    text.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte)) | 1
}
