//! What a study costs, before anything is spent.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::go::done;
use crate::read::Study;
use crate::stage::{Kind, Stage};

/// What a study costs.
#[derive(Debug, Clone, Serialize)]
pub struct Bill {
    /// Its runs.
    pub runs: usize,
    /// Stages that these would have if they shared nothing.
    pub unshared: usize,
    /// By kind of stage, in the order in which they are done.
    pub lines: Vec<Line>,
    /// Files that the study names and that are not there.
    pub missing: Vec<String>,
}

/// All stages of a kind.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Their kind.
    pub kind: Kind,
    /// How many there are.
    pub stages: usize,
    /// How many of them are done.
    pub done: usize,
    /// Steps of training of those that are not.
    pub steps: usize,
    /// Hours that those take, by the time of a step that was measured or that the study states; none where some of it is not
    /// known.
    pub hours: Option<f64>,
    /// Whether that time was measured here.
    pub measured: bool,
}

/// What a study costs and what of it is done.
pub fn bill(study: &Study) -> Bill {
    let (stages, out, runs) = (study.stages(), study.out(), study.runs());
    let mut by_kind: BTreeMap<Kind, Vec<&Stage>> = BTreeMap::new();
    for stage in stages.all() {
        by_kind.entry(stage.kind).or_default().push(stage);
    }
    let line = |(kind, of_kind): (Kind, Vec<&Stage>)| {
        let seconds: Vec<f64> = of_kind.iter().filter_map(|stage| of_one(stage, kind, &out)).collect();
        let measured = (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64);
        let undone: Vec<&&Stage> = of_kind.iter().filter(|stage| !stage.done(&out)).collect();
        let hours: Option<f64> = undone
            .iter()
            .map(|stage| {
                let count = if trains(kind) { stage.steps as f64 } else { 1.0 };
                let each = measured.or(stage.stated).or((kind == Kind::Start).then_some(0.0))?;
                Some(count * each / 3600.0)
            })
            .sum();
        Line {
            kind,
            stages: of_kind.len(),
            done: of_kind.len() - undone.len(),
            steps: undone.iter().map(|stage| stage.steps).sum(),
            hours,
            measured: measured.is_some(),
        }
    };
    Bill {
        runs: runs.len(),
        unshared: runs.iter().map(|run| stages.needed(run).len()).sum(),
        lines: by_kind.into_iter().map(line).collect(),
        missing: missing(study),
    }
}

fn trains(kind: Kind) -> bool {
    matches!(kind, Kind::Upbringing | Kind::Language | Kind::Adapter | Kind::Tune)
}

/// Seconds of a step of a stage that is done, or of all of it where nothing is trained.
fn of_one(stage: &Stage, kind: Kind, out: &Path) -> Option<f64> {
    let done = done(stage, out)?;
    if trains(kind) { done.seconds_per_step } else { Some(done.seconds) }
}

impl Bill {
    /// Hours of everything that is not done, where all of it is known.
    pub fn hours(&self) -> Option<f64> {
        self.lines.iter().map(|line| line.hours).sum()
    }

    /// Steps of training that are not done.
    pub fn steps(&self) -> usize {
        self.lines.iter().map(|line| line.steps).sum()
    }
}

/// Files and folders that the study names and that are not there: of a study that is written for other machines, all.
fn missing(study: &Study) -> Vec<String> {
    let plan = &study.plan;
    let mut named = vec![plan.base.model.display().to_string()];
    named.extend(plan.registries.iter().map(|path| path.display().to_string()));
    let language = plan.base.stage.iter().map(|stage| &stage.data);
    for data in plan.adapter.data.iter().chain(&plan.tune.data).chain(language) {
        if let Some(records) = &data.records {
            named.extend([records.clone(), data.images.clone()]);
        }
    }
    named.extend(plan.task.iter().map(|task| task.data.clone()));
    named.retain(|path| !path.starts_with("world:") && !study.folder.join(path).exists());
    named.sort();
    named.dedup();
    named
}
