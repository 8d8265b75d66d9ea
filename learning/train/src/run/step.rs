//! One step of the optimiser.

use std::time::Instant;

use sha2::{Digest, Sha256};
use zoo_data::Flaw;
use zoo_nn::autograd::backward;

use super::ahead;
use super::log::{Step, now};
use super::schedule::factor;
use super::trainer::Run;
use crate::{Error, Result};

/// Samples that a message names at most.
const NAMED: usize = 32;

/// What the batches of a step came to.
#[derive(Debug, Default)]
struct Totals {
    /// Those of which something is trained.
    batches: usize,
    /// The sum of theirs.
    loss: f32,
    samples: usize,
    tokens: usize,
    trained: usize,
    cut: usize,
    skipped: Vec<Flaw>,
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
        let (mut totals, mut bad) = (Totals::default(), None);
        for (batch, &samples) in batches.iter().enumerate() {
            if let Some(next) = batches.get(batch + 1) {
                self.foresee(next);
            }
            let seed = self::seed(seed, self.samples, batch);
            if !self.batch(samples, seed, &mut totals)?.is_finite() {
                bad = Some(samples);
                break;
            }
        }
        let loss = (totals.batches > 0).then(|| f64::from(totals.loss) / totals.batches as f64);
        let diverged = |what, value| {
            let samples = bad.unwrap_or(&indices);
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
        let gradient_norm = self.optimiser.step(totals.batches, factor);
        if !gradient_norm.is_finite() {
            return diverged("norm of the gradient", gradient_norm);
        }
        self.hand_over()?;
        // The next one's first images, while somebody writes a checkpoint.
        if number + 1 < self.steps {
            let next = self.course.step(number + 1);
            self.foresee(next.chunks(size).next().unwrap_or_default());
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
            skipped: totals.skipped,
            seconds: begun.elapsed().as_secs_f64(),
            time: now(),
            steps: self.steps,
        })
    }

    /// Adds the gradient of a batch; its loss, 0 where nothing in it is trained.
    fn batch(&mut self, indices: &[usize], seed: u64, totals: &mut Totals) -> Result<f32> {
        let mut samples = Vec::with_capacity(indices.len());
        for &index in indices {
            let ahead = &mut self.ahead;
            match self.learner.sample(&self.data, index, &mut |path| ahead.take(path))? {
                Ok(sample) => samples.push(sample),
                Err(flaw) => totals.skipped.push(flaw),
            }
        }
        let outcome = self.learner.loss(&samples, seed)?;
        totals.skipped.extend(outcome.flaws);
        totals.samples += indices.len();
        totals.tokens += outcome.positions;
        totals.trained += outcome.trained;
        totals.cut += outcome.cut;
        let Some(loss) = outcome.loss else { return Ok(0.0) };
        let value = loss.to_scalar::<f32>()?;
        totals.batches += 1;
        totals.loss += value;
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

    /// Has the images of samples decoded that come soon.
    fn foresee(&mut self, indices: &[usize]) {
        for &index in indices {
            if let Ok((_, Some(image))) = self.data.read(index)
                && !self.learner.towers().keeps(&image)
            {
                self.ahead.ask(image);
            }
        }
    }

    /// The loss of a sound record as the model is now; nothing where it cannot be used.
    ///
    /// # Errors
    /// As [`Run::train`].
    pub fn loss(&self, sample: usize) -> Result<Option<f64>> {
        let Ok(sample) = self.learner.sample(&self.data, sample, &mut ahead::decode)? else {
            return Ok(None);
        };
        let loss = self.learner.loss(&[sample], 0)?.loss;
        Ok(loss.map(|loss| loss.to_scalar::<f32>()).transpose()?.map(f64::from))
    }
}

/// What decides what is random in the pass of a batch of the step that begins after so many samples. Never 0.
fn seed(seed: u64, samples: u64, batch: usize) -> u64 {
    let text = Sha256::digest(format!("{seed} {samples} {batch}"));
    text.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte)) | 1
}
