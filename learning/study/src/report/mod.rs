//! What a study found: a function of the stages that are done.

mod draw;
mod page;

use std::collections::BTreeMap;

use serde::Serialize;
use zoo_eval::analyse::{self, cluster, components, correlations, heatmap, scatter};

use crate::Result;
use crate::effect::{Selector, Verdict, difference, level};
use crate::grid::Dim;
use crate::read::Study;
use crate::stats::Estimate;
use crate::table::{Row, Table};

/// Estimates side by side.
#[derive(Debug, Clone, Serialize)]
pub struct Chart {
    /// What is shown.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// Whether 0 is where nothing differs.
    pub differences: bool,
    /// Names and estimates, in order.
    pub lines: Vec<(String, Estimate)>,
}

/// Something that the paper found, and what is to be said of it here.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was found.
    pub says: String,
    /// Where in the paper.
    #[serde(rename = "where")]
    pub place: String,
    /// By how many points here; none where no two runs are alike but for it.
    pub difference: Option<Estimate>,
    /// What follows, by the interval alone.
    pub verdict: Verdict,
}

/// What a study found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What people call the study.
    pub title: String,
    /// What it is about.
    pub about: String,
    /// Runs, judged ones among them, and questions of each.
    pub runs: (usize, usize),
    /// The paper's findings.
    pub findings: Vec<Finding>,
    /// Sections with their charts.
    pub sections: Vec<(String, Vec<Chart>)>,
    /// How tasks go together: a note, and pictures with captions.
    pub together: (String, Vec<(String, String)>),
    /// Everything that was measured.
    #[serde(skip)]
    pub table: Table,
}

/// Reads what is there of a study and compares it.
///
/// # Errors
/// [`crate::Error::Eval`] for replies that cannot be read.
pub fn report(study: &Study) -> Result<Report> {
    let table = Table::of(study)?;
    let runs = study.runs().len();
    let findings = study.plan.finding.iter().map(|finding| {
        let selectors = [&finding.better, &finding.than].map(|written| study.selector(written).ok());
        let difference = match selectors {
            [Some(better), Some(than)] => difference(&table, &better, &than, &finding.on),
            _ => None,
        };
        Finding {
            says: finding.says.clone(),
            place: finding.place.clone(),
            difference,
            verdict: Verdict::of(difference),
        }
    });
    let findings = findings.collect();
    let mut sections = vec![("Which eyes see best".to_owned(), eyes(study, &table))];
    sections.push(("Several together, against the best of them".to_owned(), together(study, &table)));
    let headings = [
        (Dim::Adapter, "One stage or two: data for the connector alone"),
        (Dim::Tune, "Data for everything"),
        (Dim::Frozen, "Encoders that learn along"),
        (Dim::Connector, "Connectors"),
    ];
    for (dim, heading) in headings {
        sections.push((heading.to_owned(), dimension(&table, dim)));
    }
    sections.push(("What needs the picture".to_owned(), blind(&table)));
    sections.retain(|(_, charts)| !charts.is_empty());
    Ok(Report {
        title: study.plan.title.clone(),
        about: study.plan.about.clone(),
        runs: (runs, runs - table.undone),
        findings,
        sections,
        together: tasks(&table),
        table,
    })
}

/// Values of a dimension in the order of the study.
fn values(table: &Table, dim: Dim) -> Vec<String> {
    let mut out = Vec::new();
    for row in &table.rows {
        let value = row.run.at(dim);
        if !out.contains(&value) {
            out.push(value);
        }
    }
    out
}

/// The setting that most runs share, so that eyes are compared at it.
fn usual(table: &Table) -> Vec<(Dim, String)> {
    let of = |dim: Dim| {
        let mut eyes: BTreeMap<String, std::collections::BTreeSet<&str>> = BTreeMap::new();
        for row in &table.rows {
            eyes.entry(row.run.at(dim)).or_default().insert(&row.run.eyes);
        }
        // Of equally frequent ones the first of the study.
        let order = values(table, dim);
        let count = |value: &String| eyes.get(value).map_or(0, std::collections::BTreeSet::len);
        let most = order.iter().map(count).max()?;
        order.into_iter().find(|value| count(value) == most).map(|value| (dim, value))
    };
    Dim::ALL.into_iter().filter(|dim| *dim != Dim::Eyes).filter_map(of).collect()
}

/// Of a value in words.
fn named(dim: Dim, value: &str) -> String {
    match (dim, value) {
        (Dim::Frozen, "true") => "frozen".to_owned(),
        (Dim::Frozen, _) => "unfrozen".to_owned(),
        (Dim::Adapter | Dim::Tune, value) => format!("{} {value}", dim.word()),
        (_, value) => value.to_owned(),
    }
}

/// Means of all eyes at the usual setting, on each group of tasks and on all.
fn eyes(study: &Study, table: &Table) -> Vec<Chart> {
    let usual = usual(table);
    let setting: Vec<String> = usual.iter().map(|(dim, value)| named(*dim, value)).collect();
    let groups = table.groups();
    let all = std::iter::once(None).chain(groups.iter().map(|group| Some(group.as_str())));
    let chart = |group: Option<&str>| {
        let line = |eyes: String| {
            let mut runs = Selector::of(Dim::Eyes, &eyes);
            for (dim, value) in &usual {
                runs.add(dim.word(), vec![value.clone()]).ok()?;
            }
            Some((format!("{eyes} ({})", study.group(&eyes)), level(table, &runs, group)?))
        };
        let mut lines: Vec<_> = values(table, Dim::Eyes).into_iter().filter_map(line).collect();
        lines.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean));
        Chart {
            title: group.unwrap_or("All tasks").to_owned(),
            caption: format!(
                "Percent right, the mean over tasks, 95 % over seeds. All with {}.",
                setting.join(", ")
            ),
            differences: false,
            lines,
        }
    };
    all.map(chart).filter(|chart| !chart.lines.is_empty()).collect()
}

/// Each ensemble against its best member, on each group.
fn together(study: &Study, table: &Table) -> Vec<Chart> {
    let groups = table.groups();
    let mut charts = Vec::new();
    for ensemble in &study.plan.ensemble {
        let id = ensemble.id.get_ref();
        let mut lines = Vec::new();
        let all = std::iter::once(None).chain(groups.iter().map(|group| Some(group.clone())));
        for group in all {
            let on: Vec<String> = group.clone().into_iter().collect();
            let against = |member: &str| {
                difference(table, &Selector::of(Dim::Eyes, id), &Selector::of(Dim::Eyes, member), &on)
            };
            // The best member is the one that leaves the ensemble the least.
            let members = ensemble.members.iter().map(|member| member.get_ref());
            let found = members.filter_map(|member| Some((member, against(member)?)));
            let best = found.min_by(|a, b| a.1.mean.total_cmp(&b.1.mean));
            if let Some((member, estimate)) = best {
                let group = group.as_deref().unwrap_or("all tasks");
                lines.push((format!("{group}: beyond {member}"), estimate));
            }
        }
        if !lines.is_empty() {
            charts.push(Chart {
                title: id.clone(),
                caption: "Points beyond the best member, runs paired by everything else, 95 % over seeds. The member is \
                          chosen by these very figures, which favours it."
                    .to_owned(),
                differences: true,
                lines,
            });
        }
    }
    charts
}

/// What each value of a dimension has beyond the first, by group and by eyes.
fn dimension(table: &Table, dim: Dim) -> Vec<Chart> {
    let values = values(table, dim);
    let Some((first, rest)) = values.split_first() else { return Vec::new() };
    let groups = table.groups();
    let eyes = self::values(table, Dim::Eyes);
    let mut charts = Vec::new();
    for value in rest {
        let title = format!("{} beyond {}", named(dim, value), named(dim, first));
        let [better, than] = [value, first].map(|value| Selector::of(dim, value));
        let mut lines = Vec::new();
        let mut put = |name: &str, found: Option<Estimate>| {
            lines.extend(found.map(|found| (name.to_owned(), found)));
        };
        put("all tasks", difference(table, &better, &than, &[]));
        for group in &groups {
            put(group, difference(table, &better, &than, std::slice::from_ref(group)));
        }
        for eyes in &eyes {
            let with = |selector: &Selector| {
                let mut selector = selector.clone();
                selector.add(Dim::Eyes.word(), vec![eyes.clone()]).map(|()| selector)
            };
            if let (Ok(better), Ok(than)) = (with(&better), with(&than)) {
                put(&format!("  {eyes}"), difference(table, &better, &than, &[]));
            }
        }
        if !lines.is_empty() {
            charts.push(Chart {
                title,
                caption: "Points, runs paired by everything else, 95 % over seeds: groups of tasks, then eyes on all tasks."
                    .to_owned(),
                differences: true,
                lines,
            });
        }
    }
    charts
}

/// What pictures add, task by task.
fn blind(table: &Table) -> Vec<Chart> {
    let (seeing, mut blind) = (Selector::default(), Selector::default());
    if blind.add("blind", vec!["true".to_owned()]).is_err() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for task in table.tasks() {
        let rows: Vec<Row> = table.rows.iter().filter(|row| row.task == task).cloned().collect();
        let chance = rows.iter().find_map(|row| row.chance);
        let of =
            |runs: &Selector, table: &Table| level(table, runs, None).map_or(f64::NAN, |found| found.mean);
        let own = Table { rows, undone: 0 };
        if let Some(found) = difference(&own, &seeing, &blind, &[]) {
            let chance = chance.map_or_else(String::new, |chance| format!(", guessing {chance:.0}"));
            let (with, without) = (of(&seeing, &own), of(&blind, &own));
            lines.push((format!("{task}: {with:.0} seeing, {without:.0} blind{chance}"), found));
        }
    }
    lines.sort_by(|a, b| b.1.mean.total_cmp(&a.1.mean));
    let caption =
        "Points that the same model has with pictures beyond the same questions without, 95 % over seeds.";
    let chart = Chart {
        title: "Seeing beyond blind".to_owned(),
        caption: caption.to_owned(),
        differences: true,
        lines,
    };
    if chart.lines.is_empty() { Vec::new() } else { vec![chart] }
}

/// Which tasks go together over runs.
fn tasks(table: &Table) -> (String, Vec<(String, String)>) {
    let columns = table.tasks();
    let mut runs: BTreeMap<&crate::grid::Run, Vec<Option<f64>>> = BTreeMap::new();
    for row in table.rows.iter().filter(|row| !row.blind) {
        let values = runs.entry(&row.run).or_insert_with(|| vec![None; columns.len()]);
        if let Some(at) = columns.iter().position(|column| *column == row.task) {
            values[at] = Some(row.value);
        }
    }
    let whole = analyse::Table {
        rows: runs.keys().map(|run| run.label()).collect(),
        values: runs.into_values().collect(),
        columns,
    }
    .complete();
    // What never changes goes with nothing.
    let moves = |at: &usize| {
        let mut column = whole.values.iter().map(|row| row[*at]);
        let first = column.next();
        column.any(|value| Some(value) != first)
    };
    let kept: Vec<usize> = (0..whole.columns.len()).filter(moves).collect();
    let whole = analyse::Table {
        columns: kept.iter().map(|at| whole.columns[*at].clone()).collect(),
        rows: whole.rows,
        values: whole.values.iter().map(|row| kept.iter().map(|at| row[*at]).collect()).collect(),
    };
    // Fisher's interval about no correlation has 3 runs less than there are.
    if whole.rows.len() < 5 || whole.columns.len() < 3 {
        let message = format!(
            "{} runs and {} tasks whose scores differ: too few to say which go together.",
            whole.rows.len(),
            whole.columns.len()
        );
        return (message, Vec::new());
    }
    let Ok(numbers) = whole.numbers() else {
        return ("Scores do not differ enough to say which tasks go together.".to_owned(), Vec::new());
    };
    let r = correlations(&numbers);
    let limit = (1.96 / ((whole.rows.len() - 3) as f64).sqrt()).tanh();
    let note = format!(
        "{} runs, seen as one sample: a correlation within ±{limit:.2} cannot be told from none (95 %). Runs that share stages \
         are not independent, so that the true limit is wider.",
        whole.rows.len()
    );
    let pictures = vec![
        (
            "Correlation of tasks over runs, in the order of average-linkage clustering.".to_owned(),
            heatmap(&whole.columns, &r, &cluster(&r)),
        ),
        (
            "Tasks on the first two principal components of standardised scores.".to_owned(),
            scatter(&whole.columns, &components(&r, 2)),
        ),
    ];
    (note, pictures)
}
