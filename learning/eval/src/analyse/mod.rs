//! What scores of many models say about benchmarks (Cambrian-1, section 3.1): which of them measure the same, which need no
//! picture, and which encoders are good at what.

mod charts;
mod matrix;
mod page;
mod picture;
mod svg;

use std::path::Path;

use serde::Serialize;

pub use charts::{bars, ranking_chart};
pub use matrix::{Component, Merge, cluster, components, correlations, cut, order};
pub use page::html;
pub use picture::{heatmap, scatter};
pub use svg::{INK, Svg};

use crate::compare::Scored;
use crate::published::{self, Published};
use crate::suite::{COLUMNS, Group};
use crate::{Error, Result};

/// Scores of models on benchmarks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// The benchmarks.
    pub columns: Vec<String>,
    /// The models.
    pub rows: Vec<String>,
    /// Per row and column.
    pub values: Vec<Vec<Option<f64>>>,
}

impl Table {
    /// A CSV file: a heading whose first cell is the models', one line per model; empty cells and `-` are missing.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Input`] with file and line for a cell that is no number.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "cannot read the scores"))?;
        let mut lines =
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let cells = |line: &str| -> Vec<String> {
            line.split(',').map(|cell| cell.trim().trim_matches('"').to_owned()).collect()
        };
        let wrong = |line: usize, message: String| {
            Error::Input(format!("{}:{}: {message}", path.display(), line + 1))
        };
        let (_, heading) =
            lines.next().ok_or_else(|| Error::Input(format!("{}: there is no heading", path.display())))?;
        let columns: Vec<String> = cells(heading).split_off(1);
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for (number, line) in lines {
            let mut cells = cells(line);
            if cells.len() != columns.len() + 1 {
                let message = format!("{} cells, and the heading has {}", cells.len(), columns.len() + 1);
                return Err(wrong(number, message));
            }
            let of_row =
                cells.split_off(1).into_iter().zip(&columns).map(|(cell, column)| match cell.as_str() {
                    "" | "-" | "–" => Ok(None),
                    cell => match cell.parse() {
                        Ok(value) if f64::is_finite(value) => Ok(Some(value)),
                        _ => Err(wrong(number, format!("`{cell}` in `{column}` is no number"))),
                    },
                });
            values.push(of_row.collect::<Result<Vec<_>>>()?);
            rows.push(cells.swap_remove(0));
        }
        Ok(Self { columns, rows, values })
    }

    /// Published figures.
    pub fn published(rows: Vec<Published>) -> Self {
        let (rows, values) = rows.into_iter().map(|row| (row.model, row.values)).unzip();
        Self { columns: COLUMNS.iter().map(|column| column.name.to_owned()).collect(), rows, values }
    }

    /// The figures of the paper's tables whose rows have every column.
    pub fn paper() -> Self {
        Self::published(published::all()).complete()
    }

    /// Own runs, in the paper's columns.
    pub fn runs(runs: &[Scored]) -> Self {
        Self {
            columns: COLUMNS.iter().map(|column| column.name.to_owned()).collect(),
            rows: runs.iter().map(|run| run.name.clone()).collect(),
            values: runs.iter().map(|run| crate::suite::row(&run.scores).values).collect(),
        }
    }

    /// Without columns that no row has, then without rows that lack one.
    #[must_use]
    pub fn complete(&self) -> Self {
        let has = |column: usize| self.values.iter().any(|row| row[column].is_some());
        let kept: Vec<usize> = (0..self.columns.len()).filter(|column| has(*column)).collect();
        let mut out = Self {
            columns: kept.iter().map(|c| self.columns[*c].clone()).collect(),
            rows: Vec::new(),
            values: Vec::new(),
        };
        for (name, values) in self.rows.iter().zip(&self.values) {
            let values: Vec<Option<f64>> = kept.iter().map(|column| values[*column]).collect();
            if values.iter().all(Option::is_some) {
                out.rows.push(name.clone());
                out.values.push(values);
            }
        }
        out
    }

    /// The columns as numbers.
    ///
    /// # Errors
    /// [`Error::Input`] with fewer than three complete rows, or a column that never changes: nothing correlates with it.
    pub fn numbers(&self) -> Result<Vec<Vec<f64>>> {
        if self.rows.len() < 3 {
            let message = format!(
                "models with a score on every benchmark: {}; correlations need three or more",
                self.rows.len()
            );
            return Err(Error::Input(message));
        }
        let column = |at: usize| -> Vec<f64> { self.values.iter().filter_map(|row| row[at]).collect() };
        let columns: Vec<Vec<f64>> = (0..self.columns.len()).map(column).collect();
        for (name, values) in self.columns.iter().zip(&columns) {
            if values.iter().all(|value| *value == values[0]) {
                return Err(Error::Input(format!(
                    "all models have the same score on {name}: nothing can be said of it"
                )));
            }
        }
        Ok(columns)
    }
}

/// A bar of the blind test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Blind {
    /// The benchmark.
    pub name: String,
    /// With pictures.
    pub seeing: f64,
    /// Without.
    pub blind: f64,
    /// By guessing, where it is known.
    pub chance: Option<f64>,
}

/// Bars from a run and one of the same model that saw nothing.
pub fn blind(seeing: &Scored, blind: &Scored) -> Vec<Blind> {
    let bar = |score: &crate::score::TaskScore| {
        let other = blind.scores.iter().find(|other| other.task == score.task)?;
        Some(Blind {
            name: score.title.clone(),
            seeing: score.score.as_ref()?.value,
            blind: other.score.as_ref()?.value,
            chance: score.chance,
        })
    };
    seeing.scores.iter().filter_map(bar).collect()
}

/// A place in a ranking.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Place {
    /// The model.
    pub name: String,
    /// Its mean over the group's benchmarks, in the paper's units.
    pub mean: f64,
    /// 95 % around it, were these benchmarks drawn from many like them: it says how much they agree, not how many items
    /// they have.
    pub interval: (f64, f64),
}

/// Models by their mean over a group, the best first. The interval is that of the model's lead or lag over the others on
/// each benchmark: how hard a benchmark is does not widen it.
pub fn ranking(table: &Table, group: Group) -> Vec<Place> {
    let columns: Vec<(usize, f64)> = table
        .columns
        .iter()
        .enumerate()
        .filter_map(|(at, name)| {
            Some((at, crate::suite::named(name).filter(|column| column.group == group)?.divisor))
        })
        .collect();
    let row = |values: &[Option<f64>]| -> Option<Vec<f64>> {
        columns.iter().map(|(at, by)| values[*at].map(|v| v / by)).collect()
    };
    let rows: Vec<(&String, Vec<f64>)> = table
        .rows
        .iter()
        .zip(&table.values)
        .filter_map(|(name, values)| Some((name, row(values)?)))
        .collect();
    if columns.is_empty() || rows.is_empty() {
        return Vec::new();
    }
    let n = columns.len() as f64;
    let means: Vec<f64> = (0..columns.len())
        .map(|at| rows.iter().map(|(_, row)| row[at]).sum::<f64>() / rows.len() as f64)
        .collect();
    let mut places: Vec<Place> = rows
        .into_iter()
        .map(|(name, row)| {
            let mean = row.iter().sum::<f64>() / n;
            let leads: Vec<f64> = row.iter().zip(&means).map(|(value, of_all)| value - of_all).collect();
            let lead = leads.iter().sum::<f64>() / n;
            let spread = leads.iter().map(|l| (l - lead).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
            Place { name: name.clone(), mean, interval: crate::score::stats::normal(mean, spread / n) }
        })
        .collect();
    places.sort_by(|a, b| b.mean.total_cmp(&a.mean).then(a.name.cmp(&b.name)));
    places
}
