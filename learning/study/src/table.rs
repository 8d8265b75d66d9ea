//! What runs came to: a line for each figure of each run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use zoo_eval::compare::scored;
use zoo_eval::score::{Figure, Scorer, TaskScore};
use zoo_eval::suite::COLUMNS;

use crate::grid::Run;
use crate::judge::{BLIND, SEEING};
use crate::read::Study;
use crate::{Error, Result};

/// A figure of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The run.
    pub run: Run,
    /// What its eyes learnt from; `ensemble` of several.
    pub upbringing: String,
    /// Whether pictures were withheld.
    pub blind: bool,
    /// What was asked.
    pub task: String,
    /// Its group.
    pub group: String,
    /// Percent.
    pub value: f64,
    /// By guessing, where it is known.
    pub chance: Option<f64>,
    /// Questions.
    pub items: usize,
}

/// All figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Table {
    /// In the order of runs.
    pub rows: Vec<Row>,
    /// Runs that are not judged yet.
    pub undone: usize,
}

impl Table {
    /// Scores everything that was asked.
    ///
    /// # Errors
    /// [`Error::Eval`] for replies that cannot be read.
    pub fn of(study: &Study) -> Result<Self> {
        let (stages, out) = (study.stages(), study.out());
        let mut table = Self::default();
        for run in study.runs() {
            let Some(stage) = stages.judged(&run).filter(|stage| stage.done(&out)) else {
                table.undone += 1;
                continue;
            };
            for (folder, blind) in [(SEEING, false), (BLIND, true)] {
                let found = scored(&stage.folder(&out).join(folder), Scorer::Paper);
                let found = found.map_err(Error::eval(&stage.name))?;
                for (plan, score) in study.plan.task.iter().flat_map(|plan| {
                    let name = short(plan.task.get_ref());
                    found
                        .scores
                        .iter()
                        .filter(move |score| score.task == name)
                        .map(move |score| (plan, score))
                }) {
                    let row = |figure: &Figure, task: &str, group: &str| Row {
                        run: run.clone(),
                        upbringing: study.group(&run.eyes).to_owned(),
                        blind,
                        task: task.to_owned(),
                        group: group.to_owned(),
                        value: figure.value,
                        chance: score.chance,
                        items: figure.count,
                    };
                    match (&plan.by, &plan.group) {
                        (Some(column), _) => {
                            let figures = score.groups.get(column).map(Vec::as_slice).unwrap_or_default();
                            for (group, tasks) in &plan.groups {
                                let own = figures.iter().filter(|figure| tasks.contains(&figure.name));
                                table.rows.extend(own.map(|figure| row(figure, &figure.name, group)));
                            }
                        }
                        (None, Some(group)) => {
                            table.rows.extend(columns(score).into_iter().map(|(name, figure, divisor)| {
                                let row = row(figure, &name, group);
                                Row { value: row.value / divisor, ..row }
                            }))
                        }
                        (None, None) => {}
                    }
                }
            }
        }
        Ok(table)
    }

    /// Groups in the order in which they come.
    pub fn groups(&self) -> Vec<String> {
        unique(self.rows.iter().map(|row| &row.group))
    }

    /// Tasks in the order in which they come.
    pub fn tasks(&self) -> Vec<String> {
        unique(self.rows.iter().map(|row| &row.task))
    }

    /// What is judged, with a heading; empty cells are not known.
    pub fn csv(&self) -> String {
        let mut text =
            "eyes,upbringing,connector,adapter,frozen,tune,seed,blind,group,task,value,chance,questions\n"
                .to_owned();
        let cell = |text: &str| match text.contains([',', '"', '\n']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        for Row { run, upbringing, blind, task, group, value, chance, items } in &self.rows {
            let chance = chance.map_or_else(String::new, |chance| format!("{chance:.4}"));
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{},{blind},{},{},{value:.4},{chance},{items}",
                cell(&run.eyes),
                cell(upbringing),
                cell(&run.connector),
                cell(&run.adapter),
                run.frozen,
                cell(&run.tune),
                run.seed,
                cell(group),
                cell(task)
            );
        }
        text
    }

    /// Means over tasks of what rows are keyed by.
    pub(crate) fn means<K: Ord>(&self, key: impl Fn(&Row) -> Option<K>) -> BTreeMap<K, f64> {
        let mut sums: BTreeMap<K, (f64, usize)> = BTreeMap::new();
        for row in &self.rows {
            if let Some(key) = key(row) {
                let sum = sums.entry(key).or_default();
                *sum = (sum.0 + row.value, sum.1 + 1);
            }
        }
        sums.into_iter().map(|(key, (sum, count))| (key, sum / count as f64)).collect()
    }
}

/// The figures of a task with their names and what they are divided by: those of the paper's tables, or its score.
fn columns(score: &TaskScore) -> Vec<(String, &Figure, f64)> {
    let own = COLUMNS.iter().filter(|column| column.task == score.task);
    let found: Vec<_> = own
        .filter_map(|column| Some((column.name.to_owned(), score.figure(column.figure)?, column.divisor)))
        .collect();
    if !found.is_empty() {
        return found;
    }
    score.score.iter().map(|figure| (score.title.clone(), figure, 1.0)).collect()
}

/// The name of a task as its file is called.
fn short(written: &str) -> &str {
    let file = written.rsplit(['/', ':']).next().unwrap_or(written);
    file.strip_suffix(".toml").unwrap_or(file)
}

fn unique<'a>(all: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for one in all {
        if !out.contains(one) {
            out.push(one.clone());
        }
    }
    out
}
