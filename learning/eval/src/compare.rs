//! Runs side by side: scores with intervals, and tests that pair the same questions.

mod page;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

pub use page::{csv, escaped, html, markdown, page};

use crate::run::{Manifest, stored};
use crate::score::{Scorer, TaskScore, score, stats};
use crate::suite::{self, COLUMNS, Group, Row};
use crate::task::Task;
use crate::{Error, Result};

/// A run that was scored.
#[derive(Debug)]
pub struct Scored {
    /// What it is called: its model, or its folder where several have one model.
    pub name: String,
    /// How it was made.
    pub manifest: Manifest,
    /// The scores of its tasks, in the order of the paper's tables and then of names.
    pub scores: Vec<TaskScore>,
    /// Tasks without a score by these rules, and why.
    pub without: Vec<(String, String)>,
}

/// The file in which a run keeps the task that it asked.
pub const TASK_FILE: &str = "task.toml";

/// Scores the replies of a run.
///
/// # Errors
/// [`Error::Run`]; a task or replies that cannot be read.
pub fn scored(run: &Path, scorer: Scorer) -> Result<Scored> {
    let manifest = Manifest::open(run)?;
    let (mut scores, mut without) = (Vec::new(), Vec::new());
    for (name, about) in &manifest.tasks {
        let folder = run.join(name);
        let task = Task::open(&folder.join(TASK_FILE))?;
        let records = stored(&folder)?;
        if records.is_empty() {
            without.push((name.clone(), "there are no replies yet".into()));
            continue;
        }
        match score(&task, &records, scorer) {
            Some(score) if score.items > 0 => {
                if records.len() < about.items {
                    let missing = about.items - records.len();
                    without.push((
                        name.clone(),
                        format!("{missing} of {} questions have no reply yet", about.items),
                    ));
                }
                scores.push(score);
            }
            Some(_) => without.push((name.clone(), "no right answers are known: a server judges".into())),
            None if scorer.rule(&task.spec.rules).is_none() => {
                without.push((
                    name.clone(),
                    format!("the rules of {} for it are not known here", scorer.name()),
                ));
            }
            None => without.push((name.clone(), "a server judges: --submission DIR writes its file".into())),
        }
    }
    let place = |name: &str| crate::task::names().position(|known| known == name).unwrap_or(usize::MAX);
    scores.sort_by(|a, b| place(&a.task).cmp(&place(&b.task)).then(a.task.cmp(&b.task)));
    Ok(Scored { name: manifest.model.clone(), manifest, scores, without })
}

/// What a run has beyond another on the same questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paired {
    /// The difference of the scores.
    pub difference: f64,
    /// Its interval of 95 %.
    pub interval: (f64, f64),
    /// The probability of a difference at least as large, were both equally good: McNemar's exact test where units are
    /// right or wrong and weigh the same, else the normal test of paired differences.
    pub p: f64,
    /// Units where this run is better, and where it is worse.
    pub better: usize,
    /// See `better`.
    pub worse: usize,
}

/// Pairs two scores of a task by their units; none where they are not of the same questions.
pub fn paired(run: &TaskScore, against: &TaskScore) -> Option<Paired> {
    let other: BTreeMap<&str, f64> =
        against.units.iter().map(|unit| (unit.key.as_str(), unit.value)).collect();
    if run.units.len() != against.units.len() {
        return None;
    }
    let mut differences = Vec::with_capacity(run.units.len());
    for unit in &run.units {
        differences.push((unit.stratum, unit.weight * (unit.value - other.get(unit.key.as_str())?)));
    }
    let difference: f64 = differences.iter().map(|(_, d)| d).sum();
    let better = differences.iter().filter(|(_, d)| *d > 0.0).count();
    let worse = differences.iter().filter(|(_, d)| *d < 0.0).count();
    let variance = crate::score::variance(differences.iter().copied());
    let mut sizes = differences.iter().map(|(_, d)| d.abs()).filter(|d| *d > 0.0);
    let first = sizes.next().unwrap_or(0.0);
    let p = if sizes.all(|size| (size - first).abs() <= first * 1e-9) {
        stats::exact_split(better, worse)
    } else {
        // Under the hypothesis each difference could as well have the other sign.
        let squares: f64 = differences.iter().map(|(_, d)| d * d).sum();
        stats::two_sided(difference / squares.sqrt())
    };
    Some(Paired { difference, interval: stats::normal(difference, variance), p, better, worse })
}

/// Runs side by side.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The runs; the first is what the others are held against.
    pub runs: Vec<String>,
    /// Whose rules.
    pub scorer: Scorer,
    /// The tasks.
    pub tasks: Vec<Line>,
    /// The paper's groups and average of each run.
    pub averages: Vec<Row>,
    /// The difference of each group of each run from the first, where all of its columns are there.
    pub groups: Vec<Vec<Option<Paired>>>,
}

/// A task of all runs.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The task.
    pub task: String,
    /// What people call it.
    pub title: String,
    /// One per run.
    pub cells: Vec<Option<Cell>>,
}

/// The score of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// The score.
    pub value: f64,
    /// Its interval of 95 %.
    pub interval: Option<(f64, f64)>,
    /// Replies that state an answer, in percent.
    pub parsed: f64,
    /// Replies.
    pub items: usize,
    /// Against the first run.
    pub against: Option<Paired>,
}

/// Compares runs by the same rules.
///
/// # Errors
/// [`Error::Input`] where a task was asked with other data or as another file: such scores are not of one thing.
pub fn compare(runs: &[Scored], scorer: Scorer) -> Result<Comparison> {
    let mut names: Vec<(String, String)> = Vec::new();
    for score in runs.iter().flat_map(|run| &run.scores) {
        if !names.iter().any(|(name, _)| *name == score.task) {
            names.push((score.task.clone(), score.title.clone()));
        }
    }
    for (name, _) in &names {
        let mut asked = runs.iter().filter_map(|run| Some((run, run.manifest.tasks.get(name)?)));
        let Some((first, known)) = asked.next() else { continue };
        if let Some((other, _)) = asked.find(|(_, task)| task.questions != known.questions) {
            return Err(Error::Input(format!(
                "task `{name}`: {} and {} answered different questions (other data, prompts or --limit): their scores \
                 do not compare",
                first.name, other.name
            )));
        }
    }
    let of = |run: usize, name: &str| runs[run].scores.iter().find(|score| score.task == name);
    let tasks = names
        .into_iter()
        .map(|(task, title)| {
            let cell = |run: usize| {
                let score = of(run, &task)?;
                let main = score.score.as_ref()?;
                let against = of(0, &task).filter(|_| run > 0).and_then(|first| paired(score, first));
                let (value, interval) = (main.value, main.interval);
                Some(Cell { value, interval, parsed: score.parsed, items: score.items, against })
            };
            let cells = (0..runs.len()).map(cell).collect();
            Line { task, title, cells }
        })
        .collect();
    let averages = runs.iter().map(|run| suite::row(&run.scores)).collect();
    let groups = (0..runs.len())
        .map(|run| Group::ALL.iter().map(|group| grouped(runs, run, *group)).collect())
        .collect();
    let names = distinct(runs);
    Ok(Comparison { runs: names, scorer, tasks, averages, groups })
}

/// The difference of a group's mean. Tasks are independent samples, so that their variances add up; two columns of one
/// task (CV-Bench) are taken as that task's score.
fn grouped(runs: &[Scored], run: usize, group: Group) -> Option<Paired> {
    if run == 0 {
        return None;
    }
    let columns: Vec<_> = COLUMNS.iter().filter(|column| column.group == group).collect();
    let (mut difference, mut variance, mut better, mut worse) = (0.0, 0.0, 0, 0);
    let mut seen: Vec<&str> = Vec::new();
    for column in &columns {
        if seen.contains(&column.task) {
            continue;
        }
        seen.push(column.task);
        let share = columns.iter().filter(|other| other.task == column.task).count() as f64;
        let of = |run: usize| runs[run].scores.iter().find(|score| score.task == column.task);
        let one = paired(of(run)?, of(0)?)?;
        let scale = share / (column.divisor * columns.len() as f64);
        let deviation = (one.interval.1 - one.interval.0) / 2.0 / 1.959_963_984_540_054;
        difference += scale * one.difference;
        variance += (scale * deviation).powi(2);
        better += one.better;
        worse += one.worse;
    }
    let p = if variance > 0.0 { stats::two_sided(difference / variance.sqrt()) } else { 1.0 };
    Some(Paired { difference, interval: stats::normal(difference, variance), p, better, worse })
}

/// Names that tell the runs apart.
fn distinct(runs: &[Scored]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for run in runs {
        let asking = &run.manifest.asking;
        let mut name = run.name.clone();
        if asking.blind {
            name.push_str(" (blind)");
        }
        let base = name.clone();
        let mut number = 2;
        while names.contains(&name) {
            name = format!("{base} #{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}
