//! Step after step.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use zoo_data::Dataset;
use zoo_host::{ModelRequest, Zoo};
use zoo_registry::{Problem, RegistryError};

use super::begin::{Origin, keys};
use super::checkpoint::{self, State, fingerprint};
use super::export::TrainedModel;
use super::learner::{Learner, origins};
use super::log::{Log, Step, Watch};
use super::optimiser::Optimiser;
use super::schedule::factor;
use crate::order::order;
use crate::recipe::{Assigned, Recipe};
use crate::{Error, Result};

/// The recipe of a run in its folder.
const RECIPE: &str = "recipe.toml";

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// In a folder without checkpoints.
    Anew,
    /// From the last checkpoint in its folder; anew where there is none yet.
    Resume,
    /// Without a folder: for [`Run::estimate`].
    Nowhere,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Finished,
    /// It was asked to stop, and has written a checkpoint.
    Stopped,
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
    /// Bytes of trained values and moments in f32.
    pub optimiser_bytes: u64,
    /// Bytes that the features of one image take on a disk where the recipe keeps them (`features`).
    pub feature_bytes: u64,
    /// Losses of the steps that were measured.
    pub losses: Vec<f64>,
}

/// A run.
pub struct Run {
    recipe: Recipe,
    learner: Learner,
    origins: (Option<Origin>, Origin),
    optimiser: Optimiser,
    data: Dataset,
    lengths: Vec<i32>,
    steps: usize,
    samples: u64,
    skipped: u64,
    /// An epoch and its order.
    epoch: Option<(usize, Vec<usize>)>,
}

impl Run {
    /// Opens model and data. Everything that the recipe can get wrong is found before any data are read. `zoo` has
    /// [`crate::PLUGINS`] linked and the precision of the recipe.
    ///
    /// # Errors
    /// [`Error`]: of the recipe, the model, the data; [`Error::Checkpoint`] for a folder that holds another run.
    pub fn new(zoo: &Zoo, recipe: &Recipe, begin: Begin) -> Result<Self> {
        let plan = &recipe.plan;
        if zoo.precision() != plan.precision {
            return Err(Error::Internal(
                "the program was opened in another precision than the recipe's".into(),
            ));
        }
        let earlier = if begin == Begin::Nowhere { Vec::new() } else { checkpoint::list(&plan.out)? };
        let other = match begin {
            Begin::Anew if !earlier.is_empty() => Some(
                "there are checkpoints of a run here; --resume goes on with it, another `out` begins anew",
            ),
            Begin::Anew | Begin::Resume if holds_something_else(&plan.out) => {
                Some("this folder is not empty and not that of a run; choose another `out`")
            }
            _ => None,
        };
        if let Some(message) = other {
            return Err(Error::checkpoint(&plan.out, message));
        }
        let request = ModelRequest {
            template: plan.template.clone(),
            ..ModelRequest::new(plan.model.get_ref().as_str())
        };
        let pieces = zoo.pieces(&request)?;
        if pieces.connector.is_none() && plan.connector.is_some() {
            return Err(at_model(recipe, "the recipe names a connector, and this model has no encoders"));
        }
        let all: Vec<&str> = pieces.connector.iter().flat_map(keys).chain(keys(&pieces.llm)).collect();
        let assigned: Assigned = recipe.assign(&all)?;
        pieces.llm.plugin()?;
        if let Some(connector) = &pieces.connector {
            connector.plugin()?;
        }

        let data = Dataset::open(&plan.data)?;
        let origins = origins(&pieces, recipe);
        let (learner, values) =
            Learner::open(pieces, recipe, &assigned, zoo.device(), begin != Begin::Nowhere)?;
        let mut optimiser = Optimiser::new(&plan.optimizer, &assigned, &values)?;
        let (mut samples, mut skipped) = (0, data.flaws().len() as u64);
        if let Some((_, path)) = earlier.last() {
            let state = checkpoint::load(path, &mut optimiser)?;
            for (there, own, what) in [
                (&state.recipe, &fingerprint(&recipe.text), "recipe"),
                (&state.data, &data.fingerprint().to_owned(), "data"),
            ] {
                if there != own {
                    return Err(Error::checkpoint(
                        path,
                        format!("the {what} changed since it was written; a run that goes on needs the same"),
                    ));
                }
            }
            (samples, skipped) = (state.samples, state.skipped);
        }
        let (steps, lengths) = (recipe.steps(data.len()), data.lengths());
        let run = Self {
            recipe: recipe.clone(),
            learner,
            origins,
            optimiser,
            data,
            lengths,
            steps,
            samples,
            skipped,
            epoch: None,
        };
        run.hand_over()?;
        Ok(run)
    }

    /// Records that cannot be learnt from.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Steps that are done, and all.
    pub fn progress(&self) -> (usize, usize) {
        (self.optimiser.steps, self.steps)
    }

    /// Samples that were seen, and those that could not be used.
    pub fn samples(&self) -> (u64, u64) {
        (self.samples, self.skipped)
    }

    /// The optimiser, with everything that is trained.
    pub fn optimiser(&self) -> &Optimiser {
        &self.optimiser
    }

    /// The loss of a sound record as the model is now; nothing where it cannot be used.
    ///
    /// # Errors
    /// As [`Run::train`].
    pub fn loss(&self, sample: usize) -> Result<Option<f64>> {
        let Ok(sample) = self.learner.sample(&self.data, sample)? else { return Ok(None) };
        let loss = self.learner.loss(&[sample])?.loss;
        Ok(loss.map(|loss| loss.to_scalar::<f32>()).transpose()?.map(f64::from))
    }

    /// Trains until all steps are done or `cancel` is set.
    ///
    /// # Errors
    /// [`Error::Diverged`] where loss or gradient is no number; [`Error::Io`].
    pub fn train(&mut self, watch: &mut dyn Watch, cancel: &AtomicBool) -> Result<Ended> {
        let out = self.recipe.plan.out.clone();
        fs::create_dir_all(&out).map_err(Error::io(&out, "cannot make the folder"))?;
        self.write_beside(&out)?;
        let mut log = Log::open(&out, self.optimiser.steps)?;
        while self.optimiser.steps < self.steps {
            let step = self.step()?;
            log.line(&out, &step)?;
            watch.step(&step);
            let (done, stop) = (self.optimiser.steps, cancel.load(Ordering::Relaxed));
            if done == self.steps
                || stop
                || done.is_multiple_of(*self.recipe.plan.checkpoints.every.get_ref())
            {
                self.save(&out)?;
                watch.saved(done, &out);
            }
            if stop && done < self.steps {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Finished)
    }

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
        let all: u64 = all.map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum();
        Ok(Estimate {
            groups,
            frozen: all - trained as u64,
            records: self.data.len(),
            steps: self.steps,
            tokens_per_step: mean(|step| step.tokens as f64),
            seconds_per_step: mean(|step| step.seconds),
            optimiser_bytes: 12 * trained as u64,
            feature_bytes: self.learner.feature_bytes(),
            losses: measured.iter().filter_map(|step| step.loss).collect(),
        })
    }

    /// One step of the optimiser.
    fn step(&mut self) -> Result<Step> {
        let (begun, number) = (Instant::now(), self.optimiser.steps);
        let plan = &self.recipe.plan;
        let factor = factor(plan.schedule.shape, *plan.schedule.warmup.get_ref(), number, self.steps);
        let (size, rates) = (*plan.batch.size.get_ref(), self.optimiser.groups());
        let rates = rates.into_iter().map(|(group, ..)| (group.name.clone(), group.rate * factor)).collect();
        let mut step = Step {
            step: number + 1,
            loss: None,
            gradient_norm: 0.0,
            rates,
            samples: 0,
            tokens: 0,
            trained_tokens: 0,
            cut: 0,
            skipped: Vec::new(),
            seconds: 0.0,
            steps: self.steps,
        };
        let indices = self.indices(number);
        let diverged = |what, value| {
            let batch = indices.iter().map(|&i| self.data.place(i)).collect::<Vec<_>>().join(", ");
            Err(Error::Diverged { step: number + 1, what, value, batch })
        };
        let mut losses = Vec::new();
        for batch in indices.chunks(size) {
            let mut samples = Vec::with_capacity(batch.len());
            for &index in batch {
                match self.learner.sample(&self.data, index)? {
                    Ok(sample) => samples.push(sample),
                    Err(flaw) => step.skipped.push(flaw),
                }
            }
            let outcome = self.learner.loss(&samples)?;
            step.samples += batch.len();
            step.tokens += outcome.positions;
            step.trained_tokens += outcome.trained;
            step.cut += outcome.cut;
            step.skipped.extend(outcome.flaws);
            let Some(loss) = outcome.loss else { continue };
            let value = f64::from(loss.to_scalar::<f32>()?);
            if !value.is_finite() {
                return diverged("loss", value);
            }
            losses.push(value);
            let gradients = loss.backward()?;
            for (key, var) in self.learner.variables() {
                if let Some(gradient) = gradients.get(var) {
                    self.optimiser.add(key, gradient)?;
                }
            }
        }
        step.gradient_norm = self.optimiser.step(losses.len(), factor);
        if !step.gradient_norm.is_finite() {
            return diverged("norm of the gradient", step.gradient_norm);
        }
        self.hand_over()?;
        self.samples += step.samples as u64;
        self.skipped += step.skipped.len() as u64;
        step.loss = (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64);
        step.seconds = begun.elapsed().as_secs_f64();
        Ok(step)
    }

    /// The samples of step `step`, from 0.
    fn indices(&mut self, step: usize) -> Vec<usize> {
        let plan = &self.recipe.plan;
        let together = self.recipe.samples_per_step();
        let per_epoch = self.data.len().div_ceil(together);
        let (epoch, within) = (step / per_epoch, step % per_epoch);
        if self.epoch.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let (size, batches) = (*plan.batch.size.get_ref(), *plan.batch.accumulate.get_ref());
            let order = order(plan.batch.order, &self.lengths, size, batches, plan.seed, epoch as u64);
            self.epoch = Some((epoch, order));
        }
        let order = self.epoch.as_ref().map_or(&[][..], |(_, order)| order);
        order.iter().skip(within * together).take(together).copied().collect()
    }

    /// Gives the model the optimiser's values.
    fn hand_over(&self) -> Result<()> {
        self.learner.replace(self.optimiser.values(self.recipe.plan.precision.dtype())?)
    }

    /// Writes a checkpoint and the model folder.
    fn save(&self, out: &Path) -> Result<()> {
        let state = State {
            version: 1,
            step: self.optimiser.steps,
            recipe: fingerprint(&self.recipe.text),
            data: self.data.fingerprint().to_owned(),
            samples: self.samples,
            skipped: self.skipped,
        };
        checkpoint::save(out, &state, &self.optimiser)?;
        let (connector, llm) = &self.origins;
        let source = TrainedModel { pieces: self.learner.pieces(), connector: connector.as_ref(), llm };
        source.export(out, &self.optimiser)?;
        checkpoint::prune(out, *self.recipe.plan.checkpoints.keep.get_ref())
    }

    /// The recipe, and what was wrong with records, for whoever finds the folder later.
    fn write_beside(&self, out: &Path) -> Result<()> {
        let write = |name: &str, text: String| {
            let path: PathBuf = out.join(name);
            fs::write(&path, text).map_err(Error::io(&path, "cannot write"))
        };
        write(RECIPE, self.recipe.text.clone())?;
        let line = |flaw| serde_json::to_string(flaw).map(|line| line + "\n");
        let flaws = self.data.flaws().iter().map(line).collect::<Result<String, _>>();
        write("skipped.jsonl", flaws.map_err(|e| Error::Internal(e.to_string()))?)
    }
}

/// Whether a folder is neither new nor that of a run: a model or photos, which a run would write between.
fn holds_something_else(out: &Path) -> bool {
    let entries = fs::read_dir(out).map(|mut entries| entries.next().is_some());
    entries.unwrap_or(out.exists()) && !out.join(RECIPE).is_file()
}

/// A problem with the model that a recipe names.
fn at_model(recipe: &Recipe, message: &str) -> Error {
    let problem = Problem::at(&recipe.name, &recipe.text, recipe.plan.model.span(), message, None);
    RegistryError { problems: vec![problem] }.into()
}
