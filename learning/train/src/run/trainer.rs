//! A run: opened, asked, trained to its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use zoo_data::Dataset;
use zoo_host::{ModelRequest, Zoo};
use zoo_registry::{Problem, RegistryError};

use super::ahead::Ahead;
use super::alone;
use super::begin::{Origin, keys};
use super::checkpoint::{self, State, fingerprint};
use super::course::Course;
use super::curves;
use super::events::Events;
use super::export::TrainedModel;
use super::learner::{Learner, origins};
use super::log::{Log, Watch};
use super::lora;
use super::optimiser::Optimiser;
use super::steady::Steady;
use super::towers::Towers;
use crate::recipe::{Assigned, Keys, Recipe};
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

/// A run.
pub struct Run {
    pub(super) recipe: Recipe,
    pub(super) learner: Learner,
    pub(super) origins: (Option<Origin>, Origin),
    pub(super) optimiser: Optimiser,
    pub(super) data: Dataset,
    pub(super) course: Course,
    pub(super) ahead: Ahead,
    pub(super) steady: Steady,
    pub(super) steps: usize,
    pub(super) samples: u64,
    pub(super) skipped: u64,
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
        if begin != Begin::Nowhere {
            alone::check()?;
        }
        let request = ModelRequest {
            template: plan.template.clone(),
            ..ModelRequest::new(plan.model.get_ref().as_str())
        };
        let pieces = zoo.pieces(&request)?;
        if pieces.connector.is_none() && plan.connector.is_some() {
            return Err(at_model(recipe, "the recipe names a connector, and this model has no encoders"));
        }
        let model: Vec<&str> = pieces.connector.iter().flat_map(keys).chain(keys(&pieces.llm)).collect();
        let towers = Towers::open(&pieces, recipe)?;
        let (encoders, adapters) = (towers.keys(), lora::keys(recipe, &pieces.llm)?);
        let [encoders, adapters] =
            [&encoders, &adapters].map(|keys| keys.iter().map(String::as_str).collect::<Vec<_>>());
        let keys = Keys { model: &model, encoders: &encoders, adapters: &adapters };
        let assigned: Assigned = recipe.assign(&keys)?;
        pieces.llm.plugin()?;
        if let Some(connector) = &pieces.connector {
            connector.plugin()?;
        }

        let data = Dataset::open(&recipe.sources())?;
        let origins = origins(&pieces, recipe);
        let (learner, values) =
            Learner::open(pieces, towers, recipe, &assigned, zoo.device(), begin != Begin::Nowhere)?;
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
        let course = Course::new(recipe, &data);
        let steps = recipe.steps(course.samples());
        let steady = Steady::new(*plan.stop.times.get_ref(), learner.vocabulary());
        let run = Self {
            recipe: recipe.clone(),
            learner,
            origins,
            optimiser,
            data,
            course,
            ahead: Ahead::new(),
            steady,
            steps,
            samples,
            skipped,
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

    /// Trains until all steps are done or `cancel` is set.
    ///
    /// # Errors
    /// [`Error::Diverged`] where loss or gradient is no number; [`Error::Io`].
    pub fn train(&mut self, watch: &mut dyn Watch, cancel: &AtomicBool) -> Result<Ended> {
        let out = self.recipe.plan.out.clone();
        fs::create_dir_all(&out).map_err(Error::io(&out, "cannot make the folder"))?;
        self.write_beside(&out)?;
        let (mut log, mut all) = Log::open(&out, self.optimiser.steps)?;
        let mut events = Events::open(&out, &all)?;
        self.steady.remember(&all);
        while self.optimiser.steps < self.steps {
            let stop = cancel.load(Ordering::Relaxed);
            let step = self.step()?;
            log.line(&out, &step)?;
            events.step(&step)?;
            watch.step(&step);
            all.push(step);
            let done = self.optimiser.steps;
            if done == self.steps
                || stop
                || done.is_multiple_of(*self.recipe.plan.checkpoints.every.get_ref())
            {
                self.save(&out)?;
                curves::draw(&out, &all)?;
                watch.saved(done, &out);
            }
            if stop && done < self.steps {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Finished)
    }

    /// Gives the model the optimiser's values.
    pub(super) fn hand_over(&self) -> Result<()> {
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
        let source = TrainedModel {
            recipe: &self.recipe,
            pieces: self.learner.pieces(),
            towers: self.learner.towers(),
            connector: connector.as_ref(),
            llm,
        };
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
