//! A run: opened, asked, trained to its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use zoo_data::Dataset;
use zoo_host::{HostError, ModelRequest, Zoo};
use zoo_registry::{Problem, RegistryError};

use super::ahead::Ahead;
use super::begin::{Origin, keys};
use super::checkpoint::{self, State, fingerprint};
use super::course::Course;
use super::export::TrainedModel;
use super::folder;
use super::journal::Journal;
use super::learner::{Learner, origins};
use super::log::{Log, Step, Watch};
use super::lora;
use super::optimiser::Optimiser;
use super::steady::Steady;
use super::towers::Towers;
use super::world::World;
use crate::recipe::{Assigned, Keys, Recipe};
use crate::{Error, Result};

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// In a folder that is not there, or empty.
    Anew,
    /// In the folder of a run, which goes; everything else that is in it stays.
    Overwrite,
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
    pub(super) data: Arc<Dataset>,
    pub(super) course: Course,
    pub(super) ahead: Ahead,
    pub(super) steady: Steady,
    pub(super) steps: usize,
    pub(super) samples: u64,
    pub(super) skipped: u64,
    pub(super) world: World,
    /// Blocks are computed a second time for their gradients.
    pub(super) recomputes: bool,
    /// What the log says of the steps that are done.
    before: Vec<(String, Step)>,
    /// An earlier run in the same folder goes.
    overwrites: bool,
}

/// What all processes of a run must have alike.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Alike {
    data: String,
    step: usize,
}

impl Run {
    /// Opens model and data. Everything that the recipe can get wrong is found before any data are read. `zoo` has
    /// [`crate::PLUGINS`] linked and the precision of the recipe. Where the environment speaks of several processes
    /// (`WORLD_SIZE`), waits for them: they share the steps, and the first writes.
    ///
    /// # Errors
    /// [`Error`]: of the recipe, the model, the data; [`Error::Checkpoint`] for a folder that holds another run;
    /// [`Error::Processes`].
    pub fn new(zoo: &Zoo, recipe: &Recipe, begin: Begin) -> Result<Self> {
        let plan = &recipe.plan;
        if zoo.precision() != plan.precision {
            return Err(Error::Internal(
                "the program was opened in another precision than the recipe's".into(),
            ));
        }
        folder::check(&plan.out, begin)?;
        let world = match begin {
            Begin::Nowhere => World::alone(),
            _ => World::join(&fingerprint(&recipe.text))?,
        };
        shared(recipe, world.size())?;
        let request = ModelRequest {
            template: plan.template.clone(),
            ..ModelRequest::new(plan.model.get_ref().as_str())
        };
        let pieces = zoo.pieces(&request).map_err(|error| match error {
            HostError::Lookup(error) => at_model(recipe, error),
            error => error.into(),
        })?;
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

        if begin == Begin::Overwrite {
            folder::apart(recipe, &pieces)?;
        }
        recipe.look()?;
        let data = Arc::new(Dataset::open(&recipe.sources())?);
        let origins = origins(&pieces, recipe);
        let (learner, values) =
            Learner::open(pieces, towers, recipe, &assigned, zoo.device(), begin != Begin::Nowhere)?;
        let mut optimiser = Optimiser::new(&plan.optimizer, &assigned, &values)?;
        let (mut samples, mut skipped) = (0, data.flaws().len() as u64);
        let earlier = if begin == Begin::Resume { checkpoint::list(&plan.out)? } else { Vec::new() };
        if let Some((_, path)) = earlier.last() {
            let state = checkpoint::state(path)?;
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
            checkpoint::load(path, &state, &mut optimiser)?;
            (samples, skipped) = (state.samples, state.skipped);
        }
        let course = Course::new(recipe, &data);
        let steps = recipe.steps(course.samples());
        let before = if begin == Begin::Resume { Log::read(&plan.out, optimiser.steps) } else { Vec::new() };
        let mut steady = Steady::new(*plan.stop.times.get_ref(), learner.vocabulary());
        before.iter().filter_map(|(_, step)| step.loss).for_each(|loss| steady.push(loss));
        let ahead = Ahead::new(data.clone(), learner.towers().kept().cloned());
        let mut run = Self {
            recipe: recipe.clone(),
            learner,
            origins,
            optimiser,
            data,
            course,
            ahead,
            steady,
            steps,
            samples,
            skipped,
            world,
            recomputes: plan.recompute,
            before,
            overwrites: begin == Begin::Overwrite,
        };
        run.hand_over()?;
        run.agree()?;
        Ok(run)
    }

    /// Whether all processes begin with the same. Only then may the first write where the others looked.
    fn agree(&mut self) -> Result<()> {
        let own = Alike { data: self.data.fingerprint().to_owned(), step: self.optimiser.steps };
        let all = self.world.gather(own)?;
        let Some((rank, other)) = all.iter().enumerate().find(|(_, other)| **other != all[0]) else {
            return Ok(());
        };
        Err(Error::Processes(if other.data == all[0].data {
            format!(
                "process {rank} goes on from step {}, the first from step {}; `out` must be a folder that all of them see",
                other.step, all[0].step
            )
        } else {
            format!("process {rank} reads other data than the first")
        }))
    }

    /// Which of several processes this is, counted from 0, and how many there are.
    pub fn place(&self) -> (usize, usize) {
        (self.world.rank(), self.world.size())
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
        let mut journal = self.world.is_first().then(|| self.journal(&out)).transpose()?;
        while self.optimiser.steps < self.steps {
            let stop = self.world.any(cancel.load(Ordering::Relaxed))?;
            let step = self.step()?;
            if let Some(journal) = &mut journal {
                journal.step(&step)?;
            }
            watch.step(&step);
            let done = self.optimiser.steps;
            let due = done.is_multiple_of(*self.recipe.plan.checkpoints.every.get_ref());
            if let Some(journal) = journal.as_ref().filter(|_| done == self.steps || stop || due) {
                self.save(&out)?;
                journal.draw()?;
                watch.saved(done, &out);
            }
            if stop && done < self.steps {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Finished)
    }

    /// Makes the folder, and what is written in it at every step.
    fn journal(&mut self, out: &Path) -> Result<Journal> {
        fs::create_dir_all(out).map_err(Error::io(out, "cannot make the folder"))?;
        if self.overwrites {
            folder::clear(out)?;
        }
        self.write_beside(out)?;
        Journal::open(out, std::mem::take(&mut self.before))
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
        write(folder::RECIPE, self.recipe.text.clone())?;
        let line = |flaw| serde_json::to_string(flaw).map(|line| line + "\n");
        let flaws = self.data.flaws().iter().map(line).collect::<Result<String, _>>();
        write("skipped.jsonl", flaws.map_err(|e| Error::Internal(e.to_string()))?)
    }
}

/// Whether `processes` can share the steps of a recipe: its batches are dealt to them.
fn shared(recipe: &Recipe, processes: usize) -> Result<()> {
    let batches = &recipe.plan.batch.accumulate;
    if *batches.get_ref() >= processes {
        return Ok(());
    }
    let message = format!(
        "a step has {} batches (`accumulate`), and {processes} processes are to share them",
        batches.get_ref()
    );
    let help =
        format!("write `accumulate = {processes}` under `[batch]`, or more, and maybe a smaller `size`");
    Ok(Recipe::verdict(vec![recipe.problem(batches.span(), message, Some(help))])?)
}

/// A problem with the model that a recipe names.
fn at_model(recipe: &Recipe, message: impl ToString) -> Error {
    let span = recipe.plan.model.span();
    let problem = Problem::at(&recipe.name, &recipe.text, span, message.to_string(), None);
    RegistryError { problems: vec![problem] }.into()
}
