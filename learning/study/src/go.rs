//! Doing what is not done yet.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zoo_core::Precision;
use zoo_host::{HostError, Zoo};
use zoo_train::Begin;
use zoo_world::draw::Mix;
use zoo_world::write::{self as set, Format, Output, Pack};

use crate::judge;
use crate::plan::WorldPlan;
use crate::read::Study;
use crate::recipe::{self, MODEL, Places};
use crate::stage::{DONE, Kind, Stage, Stages, Work};
use crate::{Error, Result, start, text};

/// The drawn world within the folder of its stage.
pub(crate) const SET: &str = "set";
/// The row of an encoder that was brought up, beside its weights.
const REGISTRY: &str = "registry.toml";
/// How long to wait before looking again whether another process has done a stage.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Opens the program's registry and plugins for a stage.
pub trait Opener {
    /// With these registry files over all others. [`zoo_train::PLUGINS`] are linked by whoever calls it.
    ///
    /// # Errors
    /// As [`Zoo::open`].
    fn open(&self, precision: Precision, registries: &[PathBuf]) -> Result<Zoo, HostError>;
}

impl<F: Fn(Precision, &[PathBuf]) -> Result<Zoo, HostError>> Opener for F {
    fn open(&self, precision: Precision, registries: &[PathBuf]) -> Result<Zoo, HostError> {
        self(precision, registries)
    }
}

/// Follows a study.
pub trait Watch: zoo_train::Watch {
    /// A stage begins, the `number`th of `total` that are not done; `steps` of its training are still to do.
    fn begins(&mut self, stage: &Stage, number: usize, total: usize, steps: usize) {
        let _ = (stage, number, total, steps);
    }
    /// Another process is at a stage, and this one waits for it.
    fn waits(&mut self, stage: &Stage) {
        let _ = stage;
    }
    /// A question of a judging stage has a reply, or so many scenes are drawn.
    fn advances(&mut self, count: u64) {
        let _ = count;
    }
    /// A stage is done.
    fn ends(&mut self, stage: &Stage) {
        let _ = stage;
    }
}

impl Watch for () {}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All stages of the part are done.
    Finished,
    /// It was asked to stop; the same call goes on.
    Stopped,
}

/// A part of a study's runs: the `of`-th of them, beginning with `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    first: usize,
    of: usize,
}

impl Part {
    /// All runs.
    pub const WHOLE: Self = Self { first: 0, of: 1 };

    /// Reads `2/5`.
    ///
    /// # Errors
    /// What is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((i, n)) if (1..=n).contains(&i) => Ok(Self { first: i - 1, of: n }),
            _ => Err(format!("`{text}` is no part: I/N is expected, I from 1 to N")),
        }
    }

    fn has(self, run: usize) -> bool {
        run % self.of == self.first
    }
}

/// What `done.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Done {
    pub label: String,
    pub steps: usize,
    pub seconds: f64,
    /// Mean seconds of a step of this process.
    pub seconds_per_step: Option<f64>,
}

/// What a stage left behind, where it is done.
pub(crate) fn done(stage: &Stage, out: &Path) -> Option<Done> {
    serde_json::from_slice(&fs::read(stage.folder(out).join(DONE)).ok()?).ok()
}

/// Does every stage of a part of the runs that is not done.
///
/// # Errors
/// [`Error`]: the first stage that cannot be done; those before it are done, and the same call goes on.
pub fn go(
    study: &Study,
    part: Part,
    opener: &dyn Opener,
    watch: &mut dyn Watch,
    stop: &AtomicBool,
) -> Result<Ended> {
    let (stages, out) = (study.stages(), study.out());
    let runs = study.runs();
    let own = runs.iter().enumerate().filter(|(at, _)| part.has(*at)).map(|(_, run)| run);
    let chains: Vec<BTreeSet<usize>> = own.map(|run| stages.needed(run)).collect();
    let undone = |at: &&usize| !stages.all()[**at].done(&out);
    let total = chains.iter().flatten().collect::<BTreeSet<_>>().into_iter().filter(undone).count();
    let mut number = 0;
    for at in chains.iter().flatten() {
        let stage = &stages.all()[*at];
        if stage.done(&out) {
            continue;
        }
        number += 1;
        let Some(_lock) = lock(stage, &out, watch, stop)? else { return Ok(Ended::Stopped) };
        // Whoever held it may have done it.
        if stage.done(&out) {
            continue;
        }
        let doing = Doing { study, stages: &stages, stage, out: &out, opener, stop, number, total };
        if doing.stage(watch)? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        watch.ends(stage);
    }
    Ok(Ended::Finished)
}

/// A file that one process holds while it is at a stage; none where it was asked to stop while it waited.
fn lock(stage: &Stage, out: &Path, watch: &mut dyn Watch, stop: &AtomicBool) -> Result<Option<File>> {
    let folder = out.join("stages");
    fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot make the folder"))?;
    let path = folder.join(format!("{}.lock", stage.name));
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(Error::io(&path, "cannot make the lock"))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if stop.load(Ordering::Relaxed) => return Ok(None),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut told, true) {
                    watch.waits(stage);
                }
                std::thread::sleep(LOOK_AGAIN);
            }
            Err(TryLockError::Error(error)) => return Err(Error::io(&path, "cannot take the lock")(error)),
        }
    }
}

/// A stage that is being done.
struct Doing<'a> {
    study: &'a Study,
    stages: &'a Stages,
    stage: &'a Stage,
    out: &'a Path,
    opener: &'a dyn Opener,
    stop: &'a AtomicBool,
    number: usize,
    total: usize,
}

impl Doing<'_> {
    fn stage(&self, watch: &mut dyn Watch) -> Result<Ended> {
        let folder = self.stage.folder(self.out);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "cannot make the folder"))?;
        let begun = Instant::now();
        let mut clock = Clock { watch, steps: 0, seconds: 0.0 };
        let ended = match &self.stage.work {
            Work::World => self.world(&folder, &mut clock),
            Work::Upbringing { encoder } => self.upbringing(encoder, &folder, &mut clock),
            Work::Start { eyes, connector } => {
                clock.watch.begins(self.stage, self.number, self.total, 0);
                let base = self.base()?;
                start::write(self.study, eyes, connector, &base, &folder.join(MODEL))
                    .map(|()| Ended::Finished)
            }
            Work::Language => {
                let mut base = self.base_folder();
                if self.study.plan.base.new {
                    let numbers = folder.join("numbers");
                    start::numbers(self.study, &base, &numbers)?;
                    base = numbers;
                }
                self.train(&base, false, &folder, &mut clock)
            }
            Work::Train { .. } => {
                let (model, fresh) = self.model()?;
                self.train(&model, fresh, &folder, &mut clock)
            }
            Work::Judge => self.judge(&folder, &mut clock),
        }?;
        if ended == Ended::Stopped {
            return Ok(ended);
        }
        let done = Done {
            label: self.stage.label.clone(),
            steps: self.stage.steps,
            seconds: begun.elapsed().as_secs_f64(),
            seconds_per_step: (clock.steps > 0).then(|| clock.seconds / clock.steps as f64),
        };
        let json = serde_json::to_vec_pretty(&done).map_err(|e| Error::Internal(e.to_string()))?;
        zoo_train::replace(&folder.join(DONE), &json).map_err(Error::train(&self.stage.name))?;
        Ok(ended)
    }

    fn world(&self, folder: &Path, clock: &mut Clock<'_>) -> Result<Ended> {
        let plan = self.study.plan.world.as_ref();
        let plan = plan.ok_or_else(|| Error::Internal("a world without a plan".into()))?;
        clock.watch.begins(self.stage, self.number, self.total, (plan.train + plan.test) as usize);
        let out = folder.join(SET);
        if out.exists() {
            // Drawn by a process that could not say so any more.
            return Ok(Ended::Finished);
        }
        let begun = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        let begin = if begun { set::Begin::Resume } else { set::Begin::Anew };
        let ended = set::write(&out, &drawn(plan), begin, clock, self.stop)?;
        Ok(if matches!(ended, set::Ended::Finished(_)) { Ended::Finished } else { Ended::Stopped })
    }

    fn upbringing(&self, encoder: &str, folder: &Path, clock: &mut Clock<'_>) -> Result<Ended> {
        let recipe = self.study.upbringings.get(encoder);
        let recipe = recipe.ok_or_else(|| Error::Internal(format!("`{encoder}` has no recipe")))?;
        let mut recipe = recipe.clone();
        recipe.plan.out = folder.join(MODEL);
        let fail = || Error::pretrain(&self.stage.name);
        let mut run = zoo_pretrain::Run::new(&recipe, Begin::Resume).map_err(fail())?;
        let (done, steps) = run.progress();
        clock.watch.begins(self.stage, self.number, self.total, steps - done);
        ended(run.train(clock, self.stop).map_err(fail())?)
    }

    fn train(&self, model: &Path, fresh: bool, folder: &Path, clock: &mut Clock<'_>) -> Result<Ended> {
        let world = self.stages.world().map(|world| world.folder(self.out).join(SET));
        let features = self.out.join("features");
        let mut records = None;
        if let Some(language) =
            self.study.plan.base.stage.as_ref().filter(|_| self.stage.kind == Kind::Language)
        {
            let told = folder.join("text.jsonl");
            let from = language.data.records.as_deref().unwrap_or_default();
            text::without_pictures(&self.study.path(from, world.as_deref())?, &told)?;
            records = Some(told);
        }
        let places = Places {
            model,
            fresh,
            records: records.as_deref(),
            world: world.as_deref(),
            features: &features,
        };
        let text = recipe::text(self.study, self.stage, &places)?;
        let path = folder.join("recipe.toml");
        zoo_train::replace(&path, text.as_bytes()).map_err(Error::train(&self.stage.name))?;
        let fail = || Error::train(&self.stage.name);
        let recipe = zoo_train::Recipe::open(&path).map_err(fail())?;
        let zoo = self.zoo(recipe.plan.precision)?;
        let mut run = zoo_train::Run::new(&zoo, &recipe, Begin::Resume).map_err(fail())?;
        if matches!(self.stage.work, Work::Train { .. }) && run.data().len() < run.data().flaws().len() {
            let message = format!("most of its records cannot be used: {}", run.data().flaws()[0]);
            return Err(Error::input(&path, message));
        }
        let (done, steps) = run.progress();
        clock.watch.begins(self.stage, self.number, self.total, steps - done);
        ended(run.train(clock, self.stop).map_err(fail())?)
    }

    fn judge(&self, folder: &Path, clock: &mut Clock<'_>) -> Result<Ended> {
        let (model, _) = self.model()?;
        let zoo = self.zoo(Precision::F32)?;
        let world = self.stages.world().map(|world| world.folder(self.out).join(SET));
        let judging = judge::Judging {
            study: self.study,
            name: &self.stage.name,
            model: &model,
            world: world.as_deref(),
            zoo: &zoo,
            stop: self.stop,
        };
        let asked = judging.asked()?;
        let questions: usize = asked.iter().map(|(_, dataset)| 2 * dataset.items.len()).sum();
        clock.watch.begins(self.stage, self.number, self.total, questions);
        judging.all(&asked, folder, clock.watch)
    }

    /// The program, with the rows of encoders that were brought up.
    fn zoo(&self, precision: Precision) -> Result<Zoo> {
        let mut registries: Vec<PathBuf> =
            self.study.plan.registries.iter().map(|path| self.study.folder.join(path)).collect();
        let grown = self.stages.all().iter().filter(|stage| stage.kind == Kind::Upbringing);
        let grown = grown.filter(|stage| stage.done(self.out));
        registries.extend(grown.map(|stage| stage.folder(self.out).join(MODEL).join(REGISTRY)));
        Ok(self.opener.open(precision, &registries)?)
    }

    fn base_folder(&self) -> PathBuf {
        self.study.folder.join(&self.study.plan.base.model)
    }

    /// The language model's folder, as it was found or as it learnt to read.
    fn base(&self) -> Result<PathBuf> {
        let learnt = self.stages.below(self.stage, Kind::Language);
        Ok(learnt.map_or_else(|| self.base_folder(), |stage| stage.folder(self.out).join(MODEL)))
    }

    /// The model on which the stage stands, and whether its connector is new.
    fn model(&self) -> Result<(PathBuf, bool)> {
        let below = [Kind::Tune, Kind::Adapter, Kind::Start];
        let found = below.iter().find_map(|kind| self.stages.below(self.stage, *kind));
        let found = found.ok_or_else(|| Error::Internal(format!("{} stands on nothing", self.stage.name)))?;
        Ok((found.folder(self.out).join(MODEL), found.kind == Kind::Start))
    }
}

/// As `zoo data synth` would draw it.
fn drawn(plan: &WorldPlan) -> set::Plan {
    let mut mix = Mix::default();
    if !plan.kinds.is_empty() {
        mix = Mix { room: 0, flat: 0, page: 0, chart: 0 };
        plan.kinds.iter().for_each(|kind| *mix.weight(*kind) += 1);
    }
    set::Plan {
        seed: plan.seed,
        side: plan.size,
        train: plan.train,
        val: 0,
        test: plan.test,
        mix,
        outputs: vec![Output::Captions, Output::Instruct, Output::Tasks],
        pack: Pack::Folder,
        format: Format::Jpg,
    }
}

fn ended(how: zoo_train::Ended) -> Result<Ended> {
    Ok(match how {
        zoo_train::Ended::Finished => Ended::Finished,
        zoo_train::Ended::Stopped => Ended::Stopped,
    })
}

/// Measures steps on their way to whoever watches.
struct Clock<'a> {
    watch: &'a mut dyn Watch,
    steps: usize,
    seconds: f64,
}

impl zoo_train::Watch for Clock<'_> {
    fn step(&mut self, step: &zoo_train::Step) {
        self.steps += 1;
        self.seconds += step.seconds;
        self.watch.step(step);
    }

    fn saved(&mut self, step: usize, out: &Path) {
        self.watch.saved(step, out);
    }
}

impl set::Watch for Clock<'_> {
    fn advance(&mut self, scenes: u64) {
        self.watch.advances(scenes);
    }
}
