//! How verdicts become a score, for each kind of metric.

use std::collections::BTreeMap;

use super::{Figure, Judged, Scorer, Unit, figure, parity, stats};
use crate::cv_bench::{self, Dataset};
use crate::task::{GroupBy, Metric};

/// The score, what else there is to say, and the units behind it.
#[derive(Default)]
pub(super) struct Result {
    pub score: Option<Figure>,
    pub figures: Vec<Figure>,
    pub units: Vec<Unit>,
}

pub(super) fn aggregate(metric: &Metric, judged: &[Judged<'_>], scorer: Scorer) -> Result {
    if judged.is_empty() {
        return Result::default();
    }
    match metric {
        Metric::Submission => Result::default(),
        Metric::Accuracy => accuracy(judged),
        Metric::GroupMean { by } => group_mean(by, judged, scorer),
        Metric::CvBench { source, task } => cv(source, task, judged, scorer),
        Metric::Circular { by, by_number } => {
            let numbered = matches!(scorer, Scorer::LmmsEval | Scorer::Vlmeval);
            circular(by_number.as_ref().filter(|_| numbered).unwrap_or(by), judged)
        }
        Metric::Pairs { by } => pairs(by, judged, scorer),
        Metric::Mme { category, image, perception, cognition } => {
            mme((category, image), (perception, cognition), judged, scorer)
        }
    }
}

/// The figure that units add up to. A single sample of values in [0, 1] has Wilson's interval, others that of their
/// variance within strata.
fn summed(name: &str, units: &[Unit]) -> Figure {
    let value = total(units);
    let single = units.iter().all(|unit| unit.stratum == 0 && (0.0..=1.0).contains(&unit.value));
    let interval = if single {
        let scale: f64 = units.iter().map(|unit| unit.weight).sum();
        let share = if scale > 0.0 { value / scale } else { 0.0 };
        stats::wilson(share, units.len()).map(|(low, high)| (scale * low, scale * high))
    } else {
        Some(stats::normal(
            value,
            variance(units.iter().map(|unit| (unit.stratum, unit.weight * unit.value))),
        ))
    };
    Figure { name: name.to_owned(), value, interval, count: units.len() }
}

/// The weighted sum. Where all weigh the same it is a mean of what they weigh together, so that nothing but right answers is
/// 100 and not a rounding more.
fn total(units: &[Unit]) -> f64 {
    let first = units.first().map_or(0.0, |unit| unit.weight);
    if units.iter().any(|unit| unit.weight != first) {
        return units.iter().map(|unit| unit.weight * unit.value).sum();
    }
    let count = units.len().max(1) as f64;
    let together = (1e9 * first * count).round() / 1e9;
    together * units.iter().map(|unit| unit.value).sum::<f64>() / count
}

/// The variance of a sum of independent values, estimated within strata.
pub(crate) fn variance(values: impl Iterator<Item = (usize, f64)>) -> f64 {
    let mut strata: BTreeMap<usize, (f64, f64, f64)> = BTreeMap::new();
    for (stratum, value) in values {
        let (n, sum, squares) = strata.entry(stratum).or_default();
        *n += 1.0;
        *sum += value;
        *squares += value * value;
    }
    strata.values().map(|(n, sum, squares)| squares - sum * sum / n).sum()
}

fn items(judged: &[Judged<'_>]) -> Vec<Unit> {
    let weight = 100.0 / judged.len() as f64;
    judged
        .iter()
        .map(|j| Unit { key: j.record.index.to_string(), value: j.verdict.score, weight, stratum: 0 })
        .collect()
}

fn accuracy(judged: &[Judged<'_>]) -> Result {
    let units = items(judged);
    Result { score: Some(summed("accuracy", &units)), figures: Vec::new(), units }
}

fn group_mean(by: &str, judged: &[Judged<'_>], scorer: Scorer) -> Result {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for item in judged {
        *sizes.entry(item.of(by)).or_default() += 1;
    }
    let places: BTreeMap<&str, usize> =
        sizes.keys().enumerate().map(|(place, name)| (*name, place)).collect();
    let units: Vec<Unit> = judged
        .iter()
        .map(|j| Unit {
            key: j.record.index.to_string(),
            value: j.verdict.score,
            weight: 100.0 / (sizes.len() * sizes[j.of(by)]) as f64,
            stratum: places[j.of(by)],
        })
        .collect();
    let mean = summed("mean of the groups", &units);
    if scorer == Scorer::LmmsEval {
        return Result { score: Some(mean), figures: vec![summed("accuracy", &items(judged))], units };
    }
    Result { figures: vec![mean], ..accuracy(judged) }
}

fn cv(source: &str, task: &str, judged: &[Judged<'_>], scorer: Scorer) -> Result {
    let dataset = |j: &Judged<'_>| Dataset::named(j.of(source));
    let strata: Vec<Option<usize>> = judged.iter().map(|j| dataset(j).map(|d| d as usize)).collect();
    let count = |d: Dataset| strata.iter().filter(|s| **s == Some(d as usize)).count();
    let counts = [count(Dataset::Coco), count(Dataset::Ade20k), count(Dataset::Omni3d)];
    let weighted = |weights: [f64; 3]| -> Option<Vec<Unit>> {
        if weights.iter().zip(counts).any(|(weight, count)| *weight > 0.0 && count == 0) {
            return None;
        }
        let unit = |(j, stratum): (&Judged<'_>, &Option<usize>)| {
            let stratum = (*stratum)?;
            let weight = 100.0 * weights[stratum] / counts[stratum] as f64;
            (weight > 0.0).then(|| Unit {
                key: j.record.index.to_string(),
                value: j.verdict.score,
                weight,
                stratum,
            })
        };
        Some(judged.iter().zip(&strata).filter_map(unit).collect())
    };
    let one = |name: &str, weights: [f64; 3]| {
        weighted(weights).map(|mut units| {
            // Of one source it is a plain share.
            if weights.contains(&1.0) {
                units.iter_mut().for_each(|unit| unit.stratum = 0);
            }
            summed(name, &units)
        })
    };
    let all = items(judged);
    let plain = summed("share of all items", &all);
    let mut figures: Vec<Figure> = [
        one("2D", [0.5, 0.5, 0.0]),
        one("3D", [0.0, 0.0, 1.0]),
        one("COCO", [1.0, 0.0, 0.0]),
        one("ADE20K", [0.0, 1.0, 0.0]),
    ]
    .into_iter()
    .flatten()
    .collect();
    for kind in cv_bench::Task::ALL {
        let of: Vec<f64> = judged
            .iter()
            .filter(|j| cv_bench::Task::named(j.of(task)) == Some(kind))
            .map(|j| j.verdict.score)
            .collect();
        if !of.is_empty() {
            figures.push(figure(kind.name(), of));
        }
    }
    let total = [0.25, 0.25, 0.5];
    let formula = weighted(total);
    match scorer {
        Scorer::LmmsEval => {
            figures.extend(one("CV-Bench as the paper has it", total));
            Result { score: Some(plain), figures, units: all }
        }
        // VLMEvalKit prints no total.
        Scorer::Vlmeval => {
            figures.push(plain);
            Result { score: None, figures, units: formula.unwrap_or(all) }
        }
        _ => {
            figures.push(plain);
            let score = formula.as_ref().map(|units| summed("CV-Bench", units));
            Result { score, figures, units: formula.unwrap_or(all) }
        }
    }
}

fn circular(by: &GroupBy, judged: &[Judged<'_>]) -> Result {
    let mut groups: BTreeMap<String, bool> = BTreeMap::new();
    for item in judged {
        let mut key: Vec<String> = by.columns.iter().map(|column| item.of(column).to_owned()).collect();
        if by.picture {
            key.extend(item.record.picture.clone());
        }
        if let Some((column, modulo)) = &by.modulo {
            let number = item.of(column).parse::<u64>().unwrap_or(item.record.index);
            key.push((number % modulo.max(&1)).to_string());
        }
        *groups.entry(key.join("\u{1f}")).or_insert(true) &= item.verdict.score >= 1.0;
    }
    let weight = 100.0 / groups.len() as f64;
    let value = |right: bool| f64::from(u8::from(right));
    let unit = |(key, right)| Unit { key, value: value(right), weight, stratum: 0 };
    let units: Vec<Unit> = groups.into_iter().map(unit).collect();
    let plain = summed("accuracy of the variants", &items(judged));
    Result { score: Some(summed("circular accuracy", &units)), figures: vec![plain], units }
}

fn pairs(by: &str, judged: &[Judged<'_>], scorer: Scorer) -> Result {
    let right = |j: &Judged<'_>| j.verdict.score >= 1.0;
    let number = |j: &Judged<'_>| {
        j.of(by).parse::<u64>().ok().and_then(|n| n.checked_sub(1)).unwrap_or(j.record.index)
    };
    let mut both: BTreeMap<u64, (usize, bool)> = BTreeMap::new();
    for item in judged {
        let (count, all) = both.entry(number(item) / 2).or_insert((0, true));
        *count += 1;
        *all &= right(item);
    }
    // Half a pair says nothing.
    both.retain(|_, (count, _)| *count == 2);
    let weight = 100.0 / both.len().max(1) as f64;
    let unit = |(pair, (_, right)): (u64, (usize, bool))| Unit {
        key: pair.to_string(),
        value: f64::from(u8::from(right)),
        weight,
        stratum: 0,
    };
    let units: Vec<Unit> = both.into_iter().map(unit).collect();
    let plain = summed("accuracy of the items", &items(judged));
    let by_pair = summed("pairs", &units);
    let by_line = Figure {
        name: "pairs by the parity of lines".into(),
        value: parity::pairs(judged.iter().map(right)),
        interval: None,
        count: judged.len(),
    };
    let (score, other) = if scorer == Scorer::Cambrian { (by_line, by_pair) } else { (by_pair, by_line) };
    Result { score: Some(score), figures: vec![plain, other], units }
}

fn mme(
    (category, image): (&str, &str),
    (perception, cognition): (&[String], &[String]),
    judged: &[Judged<'_>],
    scorer: Scorer,
) -> Result {
    let right = |j: &Judged<'_>| j.verdict.score >= 1.0;
    let mut images: BTreeMap<(&str, &str), Vec<bool>> = BTreeMap::new();
    for item in judged {
        images.entry((item.of(category), item.of(image))).or_default().push(right(item));
    }
    let by_line = parity::categories(judged.iter().map(|j| (j.of(category), right(j))));
    let mut figures = Vec::new();
    let mut sums = [(perception, Vec::new(), 0.0, false), (cognition, Vec::new(), 0.0, false)];
    for (names, units, lines, any) in &mut sums {
        for (stratum, name) in names.iter().enumerate() {
            let of: Vec<(&str, f64)> = images
                .iter()
                .filter(|((category, _), _)| category == name)
                .map(|((_, image), answers)| {
                    let share = answers.iter().filter(|a| **a).count() as f64 / answers.len() as f64;
                    // A picture with one question left cannot have both right.
                    let both = answers.len() > 1 && answers.iter().all(|a| *a);
                    (*image, 100.0 * (share + f64::from(u8::from(both))))
                })
                .collect();
            if of.is_empty() {
                continue;
            }
            *any = true;
            let weight = 1.0 / of.len() as f64;
            let unit = |(image, value): &(&str, f64)| Unit {
                key: format!("{name}\u{1f}{image}"),
                value: *value,
                weight,
                stratum: stratum + 1,
            };
            let of: Vec<Unit> = of.iter().map(unit).collect();
            let line = by_line.get(name.as_str()).copied().unwrap_or(0.0);
            *lines += line;
            let mut one = summed(name, &of);
            if scorer == Scorer::Cambrian {
                one = Figure { value: line, interval: None, ..one };
            }
            figures.push(one);
            units.extend(of);
        }
    }
    let [(_, seen, seen_lines, any), (_, thought, thought_lines, any_thought)] = sums;
    let total = |name: &str, units: &[Unit], lines: f64| {
        let figure = summed(name, units);
        if scorer == Scorer::Cambrian { Figure { value: lines, interval: None, ..figure } } else { figure }
    };
    if any_thought {
        figures.insert(0, total("cognition", &thought, thought_lines));
    }
    let plain = summed("accuracy", &items(judged));
    figures.push(plain);
    let score = any.then(|| total("perception", &seen, seen_lines));
    Result { score, figures, units: seen }
}
