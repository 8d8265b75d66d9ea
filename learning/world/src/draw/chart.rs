//! Charts: three to six numbers, each of which can be read off.

use crate::rng::Rng;
use crate::scene::words::{Colour, LEXICON, Typeface};
use crate::scene::{Chart, ChartKind};

use super::muted;

pub(super) fn draw(rng: &mut Rng) -> Chart {
    let chart = rng.pick(ChartKind::ALL);
    let dark = rng.chance(0.25);
    let paper = if dark { muted(rng, 0.02, 0.05) } else { muted(rng, 0.8, 0.95) };
    let ink = if dark { muted(rng, 0.7, 0.85) } else { muted(rng, 0.02, 0.06) };
    let count = rng.whole(3, 6);
    let short: Vec<&str> = LEXICON.iter().copied().filter(|word| word.len() <= 5).collect();
    let labels = rng.some(&short, count).into_iter().map(str::to_owned).collect();
    let inks: Vec<Colour> =
        Colour::ALL.iter().copied().filter(|c| !matches!(c, Colour::White | Colour::Black)).collect();
    let colours = match chart {
        ChartKind::Line => rng.some(&inks, 1),
        ChartKind::Pie => rng.some(&inks, count),
        _ if rng.chance(0.5) => rng.some(&inks, count),
        _ => vec![rng.pick(&inks); count],
    };
    let (values, tick, top) = if chart == ChartKind::Pie { shares(rng, count) } else { heights(rng, count) };
    let title = rng.chance(0.5).then(|| {
        let what = rng.pick(&["Sales", "Visitors", "Votes", "Points", "Orders", "Rainfall"]);
        format!("{what} {}", rng.whole(1990, 2030))
    });
    Chart {
        chart,
        title,
        labels,
        values,
        colours,
        tick,
        top,
        printed: rng.chance(if chart == ChartKind::Pie { 0.5 } else { 0.4 }),
        grid: rng.chance(0.5),
        face: rng.pick(&[Typeface::Sans, Typeface::Bold, Typeface::Serif, Typeface::Slab]),
        paper,
        ink,
    }
}

/// Different multiples of the mark on the axis.
fn heights(rng: &mut Rng, count: usize) -> (Vec<u32>, u32, u32) {
    let tick = rng.pick(&[1, 2, 5, 10, 20]);
    let marks = 8;
    let all: Vec<u32> = (1..=marks).map(|i| i * tick).collect();
    (rng.some(&all, count), tick, (marks + 1) * tick)
}

/// Per cent in steps of five that sum to 100, all different, so that the largest and the smallest stand out.
fn shares(rng: &mut Rng, count: usize) -> (Vec<u32>, u32, u32) {
    for _ in 0..400 {
        let mut rest = 20usize;
        let mut parts = Vec::new();
        for left in (1..count).rev() {
            let part = rng.whole(1, (rest - left).min(12));
            rest -= part;
            parts.push(part as u32 * 5);
        }
        parts.push(rest as u32 * 5);
        let mut sorted = parts.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() == count {
            rng.shuffle(&mut parts);
            return (parts, 5, 100);
        }
    }
    // 5 + 10 + … with the rest in the last one.
    let mut parts: Vec<u32> = (1..count as u32).map(|i| 5 * i).collect();
    parts.push(100 - parts.iter().sum::<u32>());
    (parts, 5, 100)
}
