//! Asking a model the questions of a study, with pictures and without.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use zoo_eval::compare::TASK_FILE;
use zoo_eval::dataset::{Dataset, Item};
use zoo_eval::run::{self as asking, Asking, Choices, Local, Manifest, Reply, TaskManifest};
use zoo_eval::task::{self, Task};
use zoo_host::{ModelRequest, Zoo};
use zoo_preprocess::DecodeOptions;

use crate::go::{Ended, Watch};
use crate::read::Study;
use crate::{Error, Result};

/// Questions that are answered as one batch; replies do not depend on it.
const BATCH: usize = 4;

/// Replies that were given to pictures.
pub(crate) const SEEING: &str = "seeing";
/// Replies to the same questions without them.
pub(crate) const BLIND: &str = "blind";

/// A model that is to be asked.
pub(crate) struct Judging<'a> {
    pub study: &'a Study,
    pub name: &'a str,
    pub model: &'a Path,
    pub world: Option<&'a Path>,
    pub zoo: &'a Zoo,
    pub stop: &'a AtomicBool,
}

impl Judging<'_> {
    /// The tasks with their questions.
    pub fn asked(&self) -> Result<Vec<(Task, Dataset)>> {
        let fail = || Error::eval(self.name);
        let mut asked = Vec::new();
        for plan in &self.study.plan.task {
            let written = plan.task.get_ref();
            let task = match written.ends_with(".toml") {
                true => Task::open(&self.study.path(written, self.world)?),
                false => task::find(written, &self.study.folder),
            };
            let task = task.map_err(fail())?;
            let folder = self.study.path(&plan.data, self.world)?;
            let dataset = Dataset::open(&task, &folder, plan.limit).map_err(fail())?;
            asked.push((task, dataset));
        }
        Ok(asked)
    }

    /// Asks everything that has no reply in `folder` yet.
    pub fn all(&self, asked: &[(Task, Dataset)], folder: &Path, watch: &mut dyn Watch) -> Result<Ended> {
        let fail = || Error::eval(self.name);
        let request = ModelRequest::new(self.model);
        let session = self.zoo.model(&request, &())?;
        let local = Local::new(session, DecodeOptions::default(), BATCH, self.stop);
        let watch = RefCell::new(watch);
        for (name, blind) in [(SEEING, false), (BLIND, true)] {
            let run = folder.join(name);
            std::fs::create_dir_all(&run).map_err(Error::io(&run, "cannot make the folder"))?;
            let asking = Asking { blind, choices: Choices::Written, max_new_tokens: None, limit: None };
            let mut tasks = BTreeMap::new();
            for (task, dataset) in asked {
                let example = dataset.items.first().map(|item| local.example(item, blind));
                let about = TaskManifest::of(task, dataset, &asking, example.transpose().map_err(fail())?);
                tasks.insert(task.name().to_owned(), about.map_err(fail())?);
            }
            let answerer = local.describe().map_err(fail())?;
            let manifest =
                Manifest { version: 1, model: self.name.to_owned(), answerer, asking: asking.clone(), tasks };
            manifest.keep(&run).map_err(fail())?;
            for (task, dataset) in asked {
                let folder = run.join(task.name());
                asking::keep_task(&folder.join(TASK_FILE), &task.text).map_err(fail())?;
                let going = asking::Run {
                    dataset,
                    folder: &folder,
                    shard: asking::Shard::WHOLE,
                    asking: &asking,
                    stop: self.stop,
                };
                let outcome = going.go(&local, &Replies(&watch)).map_err(fail())?;
                if outcome.stopped {
                    return Ok(Ended::Stopped);
                }
                if let Some(first) = outcome.failures.first() {
                    let count = outcome.failures.len();
                    let message = format!(
                        "{count} questions got no answer, the first at {}: {}; the same command asks them again",
                        first.place, first.error
                    );
                    return Err(Error::input(&folder, message));
                }
            }
        }
        Ok(Ended::Finished)
    }
}

/// Replies on their way to whoever watches.
struct Replies<'a, 'w>(&'a RefCell<&'w mut dyn Watch>);

impl asking::Watch for Replies<'_, '_> {
    fn begins(&self, done: usize, _: usize) {
        self.0.borrow_mut().advances(done as u64);
    }

    fn reply(&self, _: &Item, _: zoo_eval::Result<&Reply, &zoo_eval::Error>) {
        self.0.borrow_mut().advances(1);
    }
}
