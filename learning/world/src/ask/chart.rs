//! What a chart says.

use super::{Ask, Question, Seen};
use crate::rng::Rng;
use crate::scene::{Body, Chart, ChartKind};

fn shown<'a>(seen: &Seen<'a>) -> Option<&'a Chart> {
    match &seen.scene.body {
        Body::Chart(chart) => Some(chart),
        _ => None,
    }
}

/// As the answer writes a number of it.
fn written(chart: &Chart, value: u32) -> String {
    if chart.chart == ChartKind::Pie { format!("{value}%") } else { value.to_string() }
}

pub(super) fn kind(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let chart = shown(seen)?;
    let all: Vec<&str> = ChartKind::ALL.iter().map(|kind| kind.word()).collect();
    let text = "What kind of chart is this?".to_owned();
    Some(Question::among(rng, Ask::Chart, text, chart.chart.word(), &all))
}

pub(super) fn value(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let chart = shown(seen)?;
    // Nobody reads five per cent off a slice.
    if chart.chart == ChartKind::Pie && !chart.printed {
        return None;
    }
    let at = rng.below(chart.values.len());
    let (label, value) = (chart.labels.get(at)?, *chart.values.get(at)?);
    let text = match (chart.chart, rng.below(2)) {
        (ChartKind::Pie, 0) => format!("What share does {label} have?"),
        (ChartKind::Pie, _) => format!("What percentage is shown for {label}?"),
        (_, 0) => format!("What is the value of {label}?"),
        _ => format!("Which value does the chart show for {label}?"),
    };
    let step = if chart.chart == ChartKind::Pie { 5 } else { chart.tick };
    // First numbers that stand in the chart too, then neighbours on the axis.
    let mut wrong: Vec<u32> = chart.values.iter().copied().filter(|other| *other != value).collect();
    rng.shuffle(&mut wrong);
    wrong.truncate(2);
    for other in [value + step, value.saturating_sub(step), value + 2 * step] {
        if other != value && other > 0 && !wrong.contains(&other) && wrong.len() < 3 {
            wrong.push(other);
        }
    }
    let wrong = wrong.into_iter().map(|value| written(chart, value)).collect();
    Some(Question::new(rng, Ask::Value { thing: at + 1 }, text, written(chart, value), wrong))
}

pub(super) fn extreme(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let chart = shown(seen)?;
    let most = rng.chance(0.5);
    let ends = chart.values.iter().enumerate();
    let at = if most { ends.max_by_key(|(_, v)| **v)? } else { ends.min_by_key(|(_, v)| **v)? }.0;
    let alike = chart.values.iter().filter(|value| **value == chart.values[at]).count();
    if alike > 1 {
        return None;
    }
    let text = format!("Which item has the {} value?", if most { "highest" } else { "lowest" });
    let labels: Vec<&str> = chart.labels.iter().map(String::as_str).collect();
    let right = chart.labels.get(at)?;
    let mut wrong: Vec<String> = labels.iter().filter(|l| *l != right).map(|l| (*l).to_owned()).collect();
    rng.shuffle(&mut wrong);
    wrong.truncate(3);
    Some(Question::new(rng, Ask::Extreme { most }, text, right.clone(), wrong))
}

pub(super) fn marks(rng: &mut Rng, seen: &Seen<'_>) -> Option<Question> {
    let chart = shown(seen)?;
    let count = chart.values.len();
    let text = format!("How many {}s does the chart have?", chart.chart.mark());
    let wrong = (3..=6).map(|n: usize| n.to_string()).collect();
    Some(Question::new(rng, Ask::Marks, text, count.to_string(), wrong))
}
