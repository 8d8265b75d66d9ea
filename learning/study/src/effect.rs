//! What some runs have beyond others: differences of runs that are alike but for what is compared, over seeds.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::grid::Dim;
use crate::stats::Estimate;
use crate::table::{Row, Table};

/// Some runs, by their values in some dimensions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selector {
    dims: BTreeMap<Dim, Vec<String>>,
    /// What their eyes learnt from.
    upbringing: Vec<String>,
    /// Whether pictures were withheld.
    blind: bool,
}

impl Selector {
    /// Only runs that have one of these values.
    ///
    /// # Errors
    /// What keys there are.
    pub fn add(&mut self, key: &str, values: Vec<String>) -> Result<(), String> {
        match Dim::ALL.into_iter().find(|dim| dim.word() == key) {
            Some(dim) => {
                self.dims.insert(dim, values);
            }
            None if key == "upbringing" => self.upbringing = values,
            None if key == "blind" => self.blind = values == ["true"],
            None => {
                let known: Vec<&str> =
                    Dim::ALL.map(Dim::word).into_iter().chain(["upbringing", "blind"]).collect();
                return Err(format!(
                    "`{key}` is nothing that runs differ in; these are: {}",
                    known.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// Those of one value.
    pub fn of(dim: Dim, value: &str) -> Self {
        Self { dims: BTreeMap::from([(dim, vec![value.to_owned()])]), ..Self::default() }
    }

    fn has(&self, row: &Row) -> bool {
        row.blind == self.blind
            && self.dims.iter().all(|(dim, values)| values.contains(&row.run.at(*dim)))
            && (self.upbringing.is_empty() || self.upbringing.contains(&row.upbringing))
    }

    /// What is chosen, and so is not the same in runs that are compared.
    fn bound(&self) -> BTreeSet<Dim> {
        let eyes = (!self.upbringing.is_empty()).then_some(Dim::Eyes);
        self.dims.keys().copied().chain(eyes).collect()
    }
}

/// What can be said of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval is above 0.
    Holds,
    /// The whole interval is below 0.
    DoesNot,
    /// The interval has 0 in it, or there is none.
    CannotBeSaid,
}

impl Verdict {
    /// By an interval alone.
    pub fn of(difference: Option<Estimate>) -> Self {
        match difference.and_then(|found| found.interval) {
            Some((low, _)) if low > 0.0 => Self::Holds,
            Some((_, high)) if high < 0.0 => Self::DoesNot,
            _ => Self::CannotBeSaid,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::DoesNot => "does not",
            Self::CannotBeSaid => "cannot be said at this size",
        }
    }
}

/// What the runs of `better` have beyond those of `than`, in points, on tasks of the groups `on` (all if there are none).
/// Runs are paired that are alike in whatever neither selector chooses; of each pair each task counts the same; the mean of
/// each seed is one value.
pub fn difference(table: &Table, better: &Selector, than: &Selector, on: &[String]) -> Option<Estimate> {
    let bound: BTreeSet<Dim> = better.bound().union(&than.bound()).copied().collect();
    let free: Vec<Dim> = Dim::ALL.into_iter().filter(|dim| !bound.contains(dim)).collect();
    let of = |selector: &Selector| {
        table.means(|row| {
            let wanted = selector.has(row) && (on.is_empty() || on.contains(&row.group));
            let key = free.iter().map(|dim| row.run.at(*dim)).collect::<Vec<_>>();
            wanted.then(|| (row.run.seed, key, row.task.clone()))
        })
    };
    let (better, than) = (of(better), of(than));
    let mut seeds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (key, value) in &better {
        if let Some(other) = than.get(key) {
            seeds.entry(key.0).or_default().push(value - other);
        }
    }
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    Estimate::of(&seeds.into_values().map(mean).collect::<Vec<_>>())
}

/// The mean of runs over tasks of a group and over whatever is not chosen, seed by seed.
pub(crate) fn level(table: &Table, runs: &Selector, group: Option<&str>) -> Option<Estimate> {
    let wanted = |row: &Row| runs.has(row) && group.is_none_or(|group| row.group == group);
    let seeds = table.means(|row| wanted(row).then_some(row.run.seed));
    Estimate::of(&seeds.into_values().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Run;

    fn table(values: &[(&str, &str, u64, f64)]) -> Table {
        let row = |(eyes, adapter, seed, value): &(&str, &str, u64, f64)| Row {
            run: Run {
                eyes: (*eyes).into(),
                connector: "c".into(),
                adapter: (*adapter).into(),
                frozen: true,
                tune: "t".into(),
                seed: *seed,
            },
            upbringing: if *eyes == "a" { "language" } else { "labels" }.into(),
            blind: false,
            task: "count".into(),
            group: "General".into(),
            value: *value,
            chance: None,
            items: 10,
        };
        Table { rows: values.iter().map(row).collect(), undone: 0 }
    }

    #[test]
    fn differences_are_of_runs_that_are_alike() {
        // Encoder b is far worse, and has no run without adapter data for seed 2: it must not count there.
        let table = table(&[
            ("a", "0", 1, 50.0),
            ("a", "1", 1, 52.0),
            ("b", "0", 1, 10.0),
            ("b", "1", 1, 13.0),
            ("a", "0", 2, 51.0),
            ("a", "1", 2, 53.5),
            ("b", "1", 2, 1.0),
        ]);
        let [none, some] = ["0", "1"].map(|value| Selector::of(Dim::Adapter, value));
        let found = difference(&table, &some, &none, &[]).unwrap();
        assert!((found.mean - 2.5).abs() < 1e-12 && found.seeds == 2, "{found:?}");
        assert_eq!(Verdict::of(Some(found)), Verdict::Holds);
        assert_eq!(Verdict::of(difference(&table, &none, &some, &[])), Verdict::DoesNot);
        assert_eq!(difference(&table, &some, &none, &["Knowledge".into()]), None);
        let mut language = Selector::default();
        language.add("upbringing", vec!["language".into()]).unwrap();
        let mut labels = Selector::default();
        labels.add("upbringing", vec!["labels".into()]).unwrap();
        // Of seed 2 only the runs with adapter data are alike.
        let found = difference(&table, &language, &labels, &[]).unwrap();
        assert!((found.mean - ((39.5) + 52.5) / 2.0).abs() < 1e-12, "{found:?}");
        assert!(Selector::default().add("colour", Vec::new()).unwrap_err().contains("upbringing"));
    }

    #[test]
    fn one_seed_says_nothing() {
        let table = table(&[("a", "0", 1, 50.0), ("a", "1", 1, 90.0)]);
        let [none, some] = ["0", "1"].map(|value| Selector::of(Dim::Adapter, value));
        assert_eq!(Verdict::of(difference(&table, &some, &none, &[])), Verdict::CannotBeSaid);
    }
}
