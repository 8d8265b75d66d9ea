//! What has to be done, each thing once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::grid::Run;
use crate::plan::{DataPlan, StagePlan};
use crate::read::Study;

/// What kind of work a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Pictures are drawn.
    World,
    /// An encoder is brought up.
    Upbringing,
    /// The language model learns to read and write.
    Language,
    /// Encoders, connector and language model are put together.
    Start,
    /// The connector learns by itself.
    Adapter,
    /// Everything learns.
    Tune,
    /// The model is asked, with pictures and without.
    Judge,
}

impl Kind {
    /// Its name in folders and bills.
    pub fn word(self) -> &'static str {
        match self {
            Self::World => "world",
            Self::Upbringing => "upbringing",
            Self::Language => "language",
            Self::Start => "start",
            Self::Adapter => "adapter",
            Self::Tune => "tune",
            Self::Judge => "judge",
        }
    }
}

/// What a stage does beside what its kind says.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    World,
    Upbringing { encoder: String },
    Language,
    Start { eyes: String, connector: String },
    Train { connector: String, data: DataPlan, frozen: bool, seed: u64 },
    Judge,
}

/// Something that is done once.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its kind and a fingerprint of all that its result follows from: its folder.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// What it is, for people.
    pub label: String,
    /// Stages that must be done before, by number.
    pub needs: Vec<usize>,
    /// Steps of training; 0 where nothing is trained.
    pub steps: usize,
    /// Seconds of a step that the study states.
    pub stated: Option<f64>,
    pub(crate) work: Work,
}

/// All stages of a study, each behind those that it needs.
#[derive(Debug, Clone, Default)]
pub struct Stages {
    all: Vec<Stage>,
    by_name: BTreeMap<String, usize>,
    /// The last one of each run.
    ends: BTreeMap<Run, usize>,
}

impl Stages {
    pub(crate) fn of(study: &Study) -> Self {
        let mut stages = Self::default();
        for run in study.runs() {
            let end = stages.run(study, &run);
            stages.ends.insert(run, end);
        }
        stages
    }

    /// All of them.
    pub fn all(&self) -> &[Stage] {
        &self.all
    }

    /// The stage that judges a run.
    pub fn judged(&self, run: &Run) -> Option<&Stage> {
        self.ends.get(run).and_then(|at| self.all.get(*at))
    }

    /// Everything that a run needs, by number, in an order in which it can be done.
    pub fn needed(&self, run: &Run) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut waiting: Vec<usize> = self.ends.get(run).copied().into_iter().collect();
        while let Some(at) = waiting.pop() {
            if needed.insert(at) {
                waiting.extend(self.all.get(at).iter().flat_map(|stage| &stage.needs));
            }
        }
        needed
    }

    /// The stage of that kind on which another one stands, directly.
    pub(crate) fn below(&self, stage: &Stage, kind: Kind) -> Option<&Stage> {
        stage.needs.iter().filter_map(|at| self.all.get(*at)).find(|stage| stage.kind == kind)
    }

    /// The world.
    pub(crate) fn world(&self) -> Option<&Stage> {
        self.all.iter().find(|stage| stage.kind == Kind::World)
    }

    fn add(&mut self, mut stage: Stage, content: &Value) -> usize {
        let mut hash = Sha256::new();
        hash.update(content.to_string());
        stage.needs.iter().filter_map(|at| self.all.get(*at)).for_each(|need| hash.update(&need.name));
        let digest: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        stage.name = format!("{}-{digest}", stage.kind.word());
        if let Some(at) = self.by_name.get(&stage.name) {
            return *at;
        }
        self.by_name.insert(stage.name.clone(), self.all.len());
        self.all.push(stage);
        self.all.len() - 1
    }

    /// The stages of a run; the number of the last one.
    fn run(&mut self, study: &Study, run: &Run) -> usize {
        let plan = &study.plan;
        let stage = |kind, label: String, needs, work| Stage {
            name: String::new(),
            kind,
            label,
            needs,
            steps: 0,
            stated: None,
            work,
        };
        let world: Vec<usize> = plan
            .world
            .iter()
            .map(|world| {
                let label = format!("{} scenes to learn from, {} to be judged on", world.train, world.test);
                self.add(stage(Kind::World, label, Vec::new(), Work::World), &json!(world))
            })
            .collect();
        let mut parts = Vec::new();
        for member in study.members(&run.eyes) {
            let id = member.id.get_ref();
            let Some(recipe) = study.upbringings.get(id) else { continue };
            let label = format!("{id}: {}", member.group);
            let work = Work::Upbringing { encoder: id.clone() };
            let new = Stage {
                steps: *recipe.plan.steps.get_ref(),
                stated: member.seconds_per_step,
                ..stage(Kind::Upbringing, label, Vec::new(), work)
            };
            parts.push(self.add(new, &json!([id, recipe.text])));
        }
        let base = json!([plan.base.model, plan.base.template, plan.base.new]);
        if let Some(language) = &plan.base.stage {
            let new = Stage {
                steps: steps(&language.recipe, language.data.samples),
                stated: language.seconds_per_step,
                ..stage(Kind::Language, "reading and writing".into(), world.clone(), Work::Language)
            };
            parts.push(self.add(new, &json!([base, language.recipe, language.data])));
        }
        let connector = plan.connector.iter().find(|connector| *connector.id.get_ref() == run.connector);
        let (config, tokens) = connector.map_or((json!({}), None), |c| (json!(c.config), c.tokens));
        let members: Vec<Value> =
            study.members(&run.eyes).iter().map(|m| json!([m.id.get_ref(), m.tokens])).collect();
        let work = Work::Start { eyes: run.eyes.clone(), connector: run.connector.clone() };
        let start = stage(Kind::Start, format!("{} · {}", run.eyes, run.connector), parts, work);
        let start = self.add(start, &json!([members, config, tokens, base]));

        let named = |list: &StagePlan, name: &str| list.data.iter().find(|data| data.name == name).cloned();
        let mut train = |kind: Kind, list: &StagePlan, data: DataPlan, model: usize, frozen| {
            let label = format!("{} · {} · {} {}", run.eyes, run.connector, kind.word(), data.name);
            let content = json!([
                list.recipe,
                if frozen { json!(null) } else { json!(list.unfrozen) },
                connector.map(|connector| &connector.train).filter(|_| kind == Kind::Adapter),
                data,
                run.seed
            ]);
            let new = Stage {
                steps: steps(&list.recipe, data.samples),
                stated: list.seconds_per_step,
                ..stage(
                    kind,
                    format!("{label} · {} · seed {}", if frozen { "frozen" } else { "unfrozen" }, run.seed),
                    std::iter::once(model).chain(world.iter().copied()).collect(),
                    Work::Train { connector: run.connector.clone(), data, frozen, seed: run.seed },
                )
            };
            self.add(new, &content)
        };
        let mut model = start;
        if let Some(data) = named(&plan.adapter, &run.adapter).filter(|data| data.records.is_some()) {
            model = train(Kind::Adapter, &plan.adapter, data, model, true);
        }
        if let Some(data) = named(&plan.tune, &run.tune) {
            model = train(Kind::Tune, &plan.tune, data, model, run.frozen);
        }
        let tasks: Vec<Value> =
            plan.task.iter().map(|task| json!([task.task.get_ref(), task.data, task.limit])).collect();
        let needs = std::iter::once(model).chain(world.iter().copied()).collect();
        self.add(stage(Kind::Judge, run.label(), needs, Work::Judge), &json!(tasks))
    }
}

/// Steps of a recipe over so many samples.
fn steps(recipe: &serde_json::Map<String, Value>, samples: usize) -> usize {
    let batch = recipe.get("batch");
    let number = |key: &str, usual: u64| {
        batch.and_then(|batch| batch.get(key)).and_then(Value::as_u64).unwrap_or(usual).max(1) as usize
    };
    samples.div_ceil(number("size", 8) * number("accumulate", 1))
}

impl Stage {
    /// Its folder in that of the study.
    pub fn folder(&self, out: &Path) -> PathBuf {
        out.join("stages").join(&self.name)
    }

    /// Whether encoders only look in it.
    pub(crate) fn frozen(&self) -> bool {
        !matches!(self.work, Work::Train { frozen: false, .. })
    }

    /// Whether it is done.
    pub fn done(&self, out: &Path) -> bool {
        self.folder(out).join(DONE).is_file()
    }
}

/// What a stage leaves when it is done.
pub(crate) const DONE: &str = "done.json";
