//! Figures that others published, as data: `data/published.csv`, from the tables of Cambrian-1 (arXiv 2406.16860).

use crate::suite::{COLUMNS, Group};

const TABLE: &str = include_str!("../data/published.csv");

/// A row of a published table.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Which table: `models`, `encoders` or `data`.
    pub source: String,
    /// The model, or the combination of encoders.
    pub model: String,
    /// Visual tokens.
    pub tokens: Option<f64>,
    /// The published average.
    pub average: Option<f64>,
    /// The published group means.
    pub groups: Vec<Option<f64>>,
    /// In the order of [`COLUMNS`].
    pub values: Vec<Option<f64>>,
}

/// All rows.
pub fn all() -> Vec<Published> {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |at: usize| cells.get(at).and_then(|cell| cell.parse().ok());
        let text = |at: usize| cells.get(at).map(|cell| (*cell).to_owned()).unwrap_or_default();
        let first = 4;
        let groups = Group::ALL.len();
        Published {
            source: text(0),
            model: text(1),
            tokens: number(2),
            average: number(3),
            groups: (first..first + groups).map(number).collect(),
            values: (first + groups..first + groups + COLUMNS.len()).map(number).collect(),
        }
    })
    .collect()
}

/// The final models beside others: where a run of today is compared.
pub fn models() -> Vec<Published> {
    all().into_iter().filter(|row| row.source == "models").collect()
}

/// Combinations of encoders, with one language model and one recipe.
pub fn encoders() -> Vec<Published> {
    all().into_iter().filter(|row| row.source == "encoders").collect()
}
