//! From judged replies to scores.
//!
//! A score is a sum over units that count together: items, pairs, groups of variants. Each has a value, a weight and a
//! stratum, so that intervals and paired tests need to know nothing of any benchmark.

mod metric;
mod parity;
pub mod stats;

pub(crate) use metric::variance;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rules::{Rule, Target, Verdict};
use crate::run::Record;
use crate::task::{Rules, Task};

/// Whose rules judge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scorer {
    /// The paper's, as its authors mean it: pairs and groups by what they are, not by the order of lines.
    #[default]
    Paper,
    /// The paper's released code, slips included.
    Cambrian,
    /// lmms-eval 0.7.3.
    LmmsEval,
    /// VLMEvalKit, without a judge model.
    Vlmeval,
}

impl Scorer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Paper, Self::Cambrian, Self::LmmsEval, Self::Vlmeval];

    /// Its name in commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Cambrian => "cambrian",
            Self::LmmsEval => "lmms-eval",
            Self::Vlmeval => "vlmeval",
        }
    }

    /// Its rule for a task, where it is known.
    pub fn rule(self, rules: &Rules) -> Option<Rule> {
        match self {
            Self::Paper => Some(rules.paper),
            Self::Cambrian => rules.cambrian,
            Self::LmmsEval => rules.lmms_eval,
            Self::Vlmeval => rules.vlmeval,
        }
    }
}

/// A number with its name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// The number: percent, but for MME's sums.
    pub value: f64,
    /// The interval of 95 %, where one can be given.
    pub interval: Option<(f64, f64)>,
    /// How many units it is made of.
    pub count: usize,
}

/// What counts as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// What it is in every run of the task.
    pub key: String,
    /// Its value.
    pub value: f64,
    /// Its weight in the score.
    pub weight: f64,
    /// The part of the score that it is a sample of.
    pub stratum: usize,
}

/// The score of a task.
#[derive(Debug, Clone, Serialize)]
pub struct TaskScore {
    /// The task.
    pub task: String,
    /// What people call it.
    pub title: String,
    /// Whose rules.
    pub scorer: Scorer,
    /// The rule by which replies were read.
    pub rule: Rule,
    /// The number of replies.
    pub items: usize,
    /// The share of replies that state an answer, in percent.
    pub parsed: f64,
    /// The score; none where the harness gives none, or where parts of it are missing.
    pub score: Option<Figure>,
    /// What else there is to say, in order.
    pub figures: Vec<Figure>,
    /// By the values of the task's groups.
    pub groups: BTreeMap<String, Vec<Figure>>,
    /// The score of guessing, in percent.
    pub chance: Option<f64>,
    /// What the units are.
    #[serde(skip)]
    pub units: Vec<Unit>,
}

impl TaskScore {
    /// The figure of that name; `score` is [`TaskScore::score`].
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        if name == "score" {
            return self.score.as_ref();
        }
        self.figures.iter().find(|figure| figure.name == name)
    }
}

/// A reply and what it is worth.
pub(crate) struct Judged<'a> {
    pub record: &'a Record,
    pub verdict: Verdict,
}

impl Judged<'_> {
    /// The value of a column of its row.
    fn of(&self, column: &str) -> &str {
        self.record.columns.get(column).map_or("", String::as_str)
    }
}

/// Scores the replies to a task, in the order of its rows. `None` where this harness's rule is not known, or a server
/// judges.
pub fn score(task: &Task, records: &[Record], scorer: Scorer) -> Option<TaskScore> {
    let spec = &task.spec;
    let rule = scorer.rule(&spec.rules).filter(|rule| *rule != Rule::Submission)?;
    let labelled = records.iter().filter(|record| record.target != Target::default());
    let records: Vec<&Record> = labelled.collect();
    // lmms-eval corrected the labels in its own copy of the data.
    let corrects = scorer == Scorer::LmmsEval;
    let judge = |corrected: bool| -> Vec<Judged<'_>> {
        let target = |record: &'_ Record| {
            record.corrected.clone().filter(|_| corrected).unwrap_or(record.target.clone())
        };
        let judged = |record: &&'_ Record| rule.judge(&record.reply, &target(record));
        records.iter().map(|record| Judged { record, verdict: judged(record) }).collect()
    };
    let judged = judge(corrects);
    let mut result = metric::aggregate(&spec.metric, &judged, scorer);
    if spec.corrections.is_some() {
        let name = if corrects { "with the original labels" } else { "with corrected labels" };
        let other = metric::aggregate(&spec.metric, &judge(!corrects), scorer).score;
        result.figures.extend(other.map(|figure| Figure { name: name.into(), ..figure }));
    }
    let mut groups = BTreeMap::new();
    for column in &spec.groups {
        groups.insert(column.clone(), grouped(task, column, &judged));
    }
    let parsed = share(judged.iter().map(|j| f64::from(u8::from(j.verdict.parsed))));
    Some(TaskScore {
        task: spec.name.clone(),
        title: spec.title.clone(),
        scorer,
        rule,
        items: judged.len(),
        parsed: parsed.unwrap_or(0.0),
        score: result.score,
        figures: result.figures,
        groups,
        chance: spec.chance.or_else(|| guessing(&judged)),
        units: result.units,
    })
}

/// Plain accuracies by the values of a column, in the order of names.
fn grouped(task: &Task, column: &str, judged: &[Judged<'_>]) -> Vec<Figure> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let labels = task.spec.labels.get(column);
    for item in judged {
        let value = item.of(column);
        let name = labels.and_then(|labels| labels.get(value)).map_or(value, String::as_str);
        values.entry(name).or_default().push(item.verdict.score);
    }
    values.into_iter().map(|(name, scores)| figure(name, scores.iter().copied())).collect()
}

/// The mean of values in [0, 1] in percent, with Wilson's interval.
pub(crate) fn figure(name: &str, values: impl IntoIterator<Item = f64>) -> Figure {
    let values: Vec<f64> = values.into_iter().collect();
    let mean = values.iter().sum::<f64>() / (values.len().max(1)) as f64;
    let interval = stats::wilson(mean, values.len()).map(|(low, high)| (100.0 * low, 100.0 * high));
    Figure { name: name.to_owned(), value: 100.0 * mean, interval, count: values.len() }
}

fn share(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| 100.0 * sum / count as f64)
}

/// The score of guessing among the options, where every item has some.
fn guessing(judged: &[Judged<'_>]) -> Option<f64> {
    let chance = |target: &Target| match (target.letter, target.options.len(), target.answers.as_slice()) {
        (Some(_), count @ 2.., _) => Some(1.0 / count as f64),
        (None, 0, [word]) if word.eq_ignore_ascii_case("yes") || word.eq_ignore_ascii_case("no") => Some(0.5),
        _ => None,
    };
    let chances: Option<Vec<f64>> = judged.iter().map(|j| chance(&j.record.target)).collect();
    share(chances?.into_iter())
}
