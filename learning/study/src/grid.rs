//! Which runs there are.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_spanned::Spanned;

use crate::plan::{GridPlan, StudyPlan};

/// One run of a study.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Run {
    /// An encoder or an ensemble.
    pub eyes: String,
    /// Its connector.
    pub connector: String,
    /// The amount of adapter data.
    pub adapter: String,
    /// Whether encoders only look.
    pub frozen: bool,
    /// The amount of tuning data.
    pub tune: String,
    /// Its seed.
    pub seed: u64,
}

/// What runs can differ in, but for the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dim {
    /// [`Run::eyes`].
    Eyes,
    /// [`Run::connector`].
    Connector,
    /// [`Run::adapter`].
    Adapter,
    /// [`Run::frozen`].
    Frozen,
    /// [`Run::tune`].
    Tune,
}

impl Dim {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Eyes, Self::Connector, Self::Adapter, Self::Frozen, Self::Tune];

    /// Its key in a grid and a selector.
    pub fn word(self) -> &'static str {
        match self {
            Self::Eyes => "eyes",
            Self::Connector => "connector",
            Self::Adapter => "adapter",
            Self::Frozen => "frozen",
            Self::Tune => "tune",
        }
    }
}

impl Run {
    /// Its value in a dimension.
    pub fn at(&self, dim: Dim) -> String {
        match dim {
            Dim::Eyes => self.eyes.clone(),
            Dim::Connector => self.connector.clone(),
            Dim::Adapter => self.adapter.clone(),
            Dim::Frozen => self.frozen.to_string(),
            Dim::Tune => self.tune.clone(),
        }
    }

    /// In one line.
    pub fn label(&self) -> String {
        let Self { eyes, connector, adapter, tune, seed, .. } = self;
        let frozen = if self.frozen { "frozen" } else { "unfrozen" };
        format!("{eyes} · {connector} · adapter {adapter} · {frozen} · tune {tune} · seed {seed}")
    }
}

/// All runs of a study, each once, in the order of its grids.
pub(crate) fn runs(plan: &StudyPlan) -> Vec<Run> {
    let mut seen = BTreeSet::new();
    plan.grid.iter().flat_map(|grid| product(plan, grid)).filter(|run| seen.insert(run.clone())).collect()
}

fn product(plan: &StudyPlan, grid: &GridPlan) -> Vec<Run> {
    let chosen = |list: &[Spanned<String>], all: Vec<String>| match list {
        [] => all,
        list => list.iter().map(|one| one.get_ref().clone()).collect(),
    };
    let eyes = plan.encoder.iter().map(|e| &e.id).chain(plan.ensemble.iter().map(|e| &e.id));
    let eyes = chosen(&grid.eyes, eyes.map(|id| id.get_ref().clone()).collect());
    let connectors = chosen(&grid.connector, plan.connector.iter().map(|c| c.id.get_ref().clone()).collect());
    let names = |stage: &crate::plan::StagePlan| stage.data.iter().map(|data| data.name.clone()).collect();
    let (adapters, tunes) =
        (chosen(&grid.adapter, names(&plan.adapter)), chosen(&grid.tune, names(&plan.tune)));
    let frozen: &[bool] = if grid.frozen.is_empty() { &[true] } else { &grid.frozen };
    let seeds: &[u64] = if grid.seeds.is_empty() { &[1] } else { &grid.seeds };
    let mut runs = Vec::new();
    // Seeds outermost: what is stopped half-way has all of some seeds.
    for seed in seeds {
        for eyes in &eyes {
            for connector in &connectors {
                for adapter in &adapters {
                    for frozen in frozen {
                        runs.extend(tunes.iter().map(|tune| Run {
                            eyes: eyes.clone(),
                            connector: connector.clone(),
                            adapter: adapter.clone(),
                            frozen: *frozen,
                            tune: tune.clone(),
                            seed: *seed,
                        }));
                    }
                }
            }
        }
    }
    runs
}
