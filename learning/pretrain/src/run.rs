//! From a recipe to an encoder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use zoo_core::weights::Weights;
use zoo_nn::autograd::backward;
use zoo_train::checkpoint::{self, State, fingerprint};
use zoo_train::{Assigned, Begin, Ended, Group, Journal, Optimiser, Step, Watch, factor, now};
use zoo_world::Rng;
use zoo_world::scene::Split;

use crate::eye::Eye;
use crate::objective::{self, Asked, Frame, Objective};
use crate::recipe::Recipe;
use crate::scenes::Scenes;
use crate::{Error, Result};

/// The encoder, in f16.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// Its row.
const REGISTRY: &str = "registry.toml";
/// What was asked for.
const RECIPE: &str = "recipe.toml";
/// The one group of what learns.
const GROUP: &str = "base";

/// An upbringing.
pub struct Run {
    recipe: Recipe,
    scenes: Scenes,
    eye: Eye,
    objective: Box<dyn Objective>,
    optimiser: Optimiser,
}

impl Run {
    /// The encoder of a recipe as it begins, or as the last checkpoint left it.
    ///
    /// # Errors
    /// [`Error`]: of the recipe and the encoder; [`Error::There`] for a folder that holds something else;
    /// [`Error::Train`] for a checkpoint of another recipe.
    pub fn new(recipe: &Recipe, begin: Begin) -> Result<Self> {
        let plan = &recipe.plan;
        let earlier = if begin == Begin::Nowhere { Vec::new() } else { checkpoint::list(&plan.out)? };
        if let Some(message) = there(&plan.out, begin, !earlier.is_empty()) {
            return Err(Error::There { path: plan.out.clone(), message });
        }
        let weights = Weights::random(plan.seed, DType::F32).trainable(true);
        let eye = Eye::open(&recipe.row, &weights)?;
        let blank = image::RgbImage::from_pixel(eye.side(), eye.side(), image::Rgb(eye.pad()));
        let seen = eye.look(&eye.pixels(&[blank])?)?;
        let frame = Frame {
            side: eye.side() as usize,
            grid: seen.grid,
            channels: seen.tokens.dim(2)?,
            pad: eye.pad(),
        };
        let objective = objective::of(plan.objective, frame, plan.seed)?;
        let mut values = eye.values()?;
        let head = objective.head().variables().iter();
        values.extend(head.map(|(key, var)| (key.clone(), var.as_tensor().clone())));
        let group = Group {
            name: GROUP.into(),
            rate: *plan.optimizer.rate.get_ref(),
            weight_decay: plan.optimizer.weight_decay,
        };
        let trained = values.keys().map(|key| (key.clone(), 0)).collect();
        let mut optimiser =
            Optimiser::new(&plan.optimizer, &Assigned { groups: vec![group], trained }, &values)?;
        if let Some((_, path)) = earlier.last() {
            let state = checkpoint::state(path)?;
            checkpoint::load(path, &state, &mut optimiser)?;
            if state.recipe != fingerprint(&recipe.text) {
                let message =
                    "the recipe changed since its checkpoint was written; a run that goes on needs the same";
                return Err(Error::There { path: path.clone(), message });
            }
        }
        let scenes = Scenes::new(&plan.world, Split::Train, eye.side(), eye.pad());
        let run = Self { recipe: recipe.clone(), scenes, eye, objective, optimiser };
        run.hand_over()?;
        Ok(run)
    }

    /// The encoder as it is at this moment.
    pub fn eye(&self) -> &Eye {
        &self.eye
    }

    /// Parameters of the encoder, and of the head that is thrown away.
    ///
    /// # Errors
    /// The encoder's.
    pub fn parameters(&self) -> Result<(usize, usize)> {
        let own = self.eye.values()?.values().map(Tensor::elem_count).sum();
        let head = self.objective.head().variables().values();
        Ok((own, head.map(|var| var.as_tensor().elem_count()).sum()))
    }

    /// Steps that are done, and all.
    pub fn progress(&self) -> (usize, usize) {
        (self.optimiser.steps(), *self.recipe.plan.steps.get_ref())
    }

    /// Learns until all steps are done or `cancel` is set.
    ///
    /// # Errors
    /// [`Error::Diverged`] where loss or gradient is no number; the file system's.
    pub fn train(&mut self, watch: &mut dyn Watch, cancel: &AtomicBool) -> Result<Ended> {
        let out = self.recipe.plan.out.clone();
        fs::create_dir_all(&out).map_err(Error::io(&out, "cannot make the folder"))?;
        zoo_train::replace(&out.join(RECIPE), self.recipe.text.as_bytes())?;
        let mut journal = Journal::after(&out, self.optimiser.steps())?;
        let (_, steps) = self.progress();
        while self.optimiser.steps() < steps {
            let stop = cancel.load(Ordering::Relaxed);
            let step = self.step()?;
            journal.step(&step)?;
            watch.step(&step);
            let done = step.step;
            if stop || done == steps || done.is_multiple_of(*self.recipe.plan.checkpoints.every.get_ref()) {
                self.save(&out)?;
                journal.draw()?;
                watch.saved(done, &out);
            }
            if stop && done < steps {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Finished)
    }

    /// Seconds of a step, measured on `count` of them, which are forgotten.
    ///
    /// # Errors
    /// As [`Run::train`].
    pub fn estimate(mut self, count: usize) -> Result<f64> {
        let mut seconds = 0.0;
        for _ in 0..count.max(1) {
            seconds += self.step()?.seconds;
        }
        Ok(seconds / count.max(1) as f64)
    }

    fn step(&mut self) -> Result<Step> {
        let begun = Instant::now();
        let plan = &self.recipe.plan;
        let (done, steps) = self.progress();
        let (number, pictures) = (done + 1, *plan.batch.get_ref());
        let first = done as u64 * pictures as u64;
        let ask = |at: u64| {
            // Another view each time that a scene comes again.
            let mut rng = Rng::of(plan.seed, &["asked"], at);
            self.objective.ask(self.scenes.show(at % plan.world.scenes), &mut rng)
        };
        let asked: Vec<Asked> = (first..first + pictures as u64).into_par_iter().map(ask).collect();
        let views = asked.first().map_or(0, |one| one.views.len());
        let images: Vec<_> =
            (0..views).flat_map(|view| asked.iter().filter_map(move |one| one.views.get(view))).collect();
        let pixels = self.eye.pixels(&images)?;
        let numbers: Vec<f32> = asked.iter().flat_map(|one| one.target.iter().copied()).collect();
        let targets = Tensor::from_vec(numbers, (pictures, asked[0].target.len()), &Device::Cpu)?;
        let glance = self.eye.glance(&pixels)?;
        let loss = self.objective.loss(&glance.features, &targets)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        let sound = |what, value: f64| match value.is_finite() {
            true => Ok(()),
            false => Err(Error::Diverged { step: number, what, value }),
        };
        sound("loss", value)?;
        let found = backward(&loss)?;
        for (key, gradient) in self.eye.gradients(&pixels, &glance, &found)? {
            self.optimiser.add(key, &gradient)?;
        }
        for (key, var) in self.objective.head().variables() {
            if let Some(gradient) = found.get(var.as_tensor()) {
                self.optimiser.add(key, gradient)?;
            }
        }
        let factor = factor(plan.schedule.shape, *plan.schedule.warmup.get_ref(), done, steps);
        let gradient_norm = self.optimiser.step(1, factor);
        sound("norm of the gradient", gradient_norm)?;
        self.hand_over()?;
        let tokens = images.len() * glance.features.grid.cells();
        Ok(Step {
            step: number,
            loss: Some(value),
            gradient_norm,
            rates: BTreeMap::from([(GROUP.to_owned(), plan.optimizer.rate.get_ref() * factor)]),
            samples: pictures,
            tokens,
            trained_tokens: tokens,
            cut: 0,
            skipped: Vec::new(),
            seconds: begun.elapsed().as_secs_f64(),
            time: now(),
            steps,
        })
    }

    /// Gives encoder and head the optimiser's values.
    fn hand_over(&self) -> Result<()> {
        let values = self.optimiser.values(DType::F32)?;
        self.eye.replace(&values)?;
        for (key, var) in self.objective.head().variables() {
            if let Some(value) = values.get(key) {
                var.set(value)?;
            }
        }
        Ok(())
    }

    /// A checkpoint, and the encoder as it is.
    fn save(&self, out: &Path) -> Result<()> {
        let state = State {
            version: 1,
            step: self.optimiser.steps(),
            recipe: fingerprint(&self.recipe.text),
            // Everything that is shown stands in the recipe.
            data: String::new(),
            samples: (self.optimiser.steps() * self.recipe.plan.batch.get_ref()) as u64,
            skipped: 0,
        };
        checkpoint::save(out, &state, &self.optimiser)?;
        let half = |(key, value): (String, Tensor)| Ok((key, value.to_dtype(DType::F16)?));
        let tensors = self.eye.values()?.into_iter().map(half).collect::<Result<BTreeMap<_, _>>>()?;
        zoo_train::replace(&out.join(REGISTRY), self.recipe.registry()?.as_bytes())?;
        zoo_train::write(&out.join(WEIGHTS), tensors)?;
        Ok(checkpoint::prune(out, *self.recipe.plan.checkpoints.keep.get_ref())?)
    }
}

/// Why nothing can begin in this folder.
fn there(out: &Path, begin: Begin, checkpoints: bool) -> Option<&'static str> {
    let entries = fs::read_dir(out).map(|mut entries| entries.next().is_some());
    let other = entries.unwrap_or(out.exists()) && !out.join(RECIPE).is_file();
    match begin {
        Begin::Nowhere => None,
        Begin::Anew | Begin::Overwrite if checkpoints => {
            Some("there are checkpoints of a run here; --resume goes on with it, another `out` begins anew")
        }
        _ if other => Some("this folder is not empty and not that of a run; choose another `out`"),
        _ => None,
    }
}
