//! Which benchmarks need the picture, and which models are good at what.

use super::svg::{BLUE, INK, LETTER, ORANGE, PALE, Svg, short, ticks};
use super::{Blind, Place};

/// Where bars begin, so that the longest of the names before them has room.
fn left<'a>(names: impl Iterator<Item = &'a str>) -> f64 {
    let longest = names.map(|name| name.chars().count()).max().unwrap_or_default();
    (0.93 * LETTER * longest as f64 + 60.0).max(160.0)
}

/// Seeing, blind and guessing, benchmark by benchmark, the widest gap first.
pub fn bars(bars: &[Blind]) -> String {
    const ROW: f64 = 46.0;
    const WIDTH: f64 = 520.0;
    const TOP: f64 = 36.0;
    let left = left(bars.iter().map(|bar| bar.name.as_str()));
    let mut sorted: Vec<&Blind> = bars.iter().collect();
    sorted.sort_by(|a, b| (b.seeing - b.blind).total_cmp(&(a.seeing - a.blind)));
    let bottom = TOP + ROW * sorted.len() as f64;
    let mut svg = Svg::new(left + WIDTH + 70.0, bottom + 30.0);
    let after = svg.legend((left, 18.0), &[("seeing", BLUE), ("blind", ORANGE)]);
    svg.beam((after + 6.0, 7.0), (after + 6.0, 21.0), INK);
    svg.text((after + 17.0, 18.0), "start", INK, "guessing");
    for tick in ticks(0.0, 100.0, 5) {
        let x = left + WIDTH * tick / 100.0;
        svg.line((x, TOP), (x, bottom), PALE);
        svg.text((x, bottom + 16.0), "middle", INK, &short(tick));
    }
    for (row, bar) in sorted.into_iter().enumerate() {
        let y = TOP + 4.0 + ROW * row as f64;
        // MME's sum of points is shown by its share of 2000.
        let most = if bar.seeing.max(bar.blind) > 100.0 { 2000.0 } else { 100.0 };
        let width = |value: f64| WIDTH * (value / most).clamp(0.0, 1.0);
        let name = if most > 100.0 { format!("{} (of {most:.0})", bar.name) } else { bar.name.clone() };
        svg.text((left - 8.0, y + 22.0), "end", INK, &name);
        for (offset, value, fill) in [(3.0, bar.seeing, BLUE), (19.0, bar.blind, ORANGE)] {
            svg.rect((left, y + offset, width(value), 14.0), fill);
            svg.text((left + width(value) + 6.0, y + offset + 11.0), "start", INK, &format!("{value:.1}"));
        }
        if let Some(chance) = bar.chance {
            svg.beam((left + width(chance), y), (left + width(chance), y + 36.0), INK);
        }
    }
    svg.end()
}

/// A ranking with intervals.
pub fn ranking_chart(title: &str, places: &[Place]) -> String {
    const ROW: f64 = 24.0;
    const WIDTH: f64 = 460.0;
    const TOP: f64 = 36.0;
    let left = left(places.iter().map(|place| place.name.as_str()));
    let bottom = TOP + ROW * places.len() as f64;
    let mut svg = Svg::new(left + WIDTH + 70.0, bottom + 46.0);
    svg.text((left, 20.0), "start", INK, &format!("{title}: mean of the group, 95 %"));
    let low = places.iter().map(|place| place.interval.0).fold(f64::INFINITY, f64::min);
    let high = places.iter().map(|place| place.interval.1).fold(f64::NEG_INFINITY, f64::max);
    let pad = 0.02 * (high - low).max(1e-9);
    let (low, high) = (low - pad, high + pad);
    let at = |value: f64| left + WIDTH * (value - low) / (high - low);
    for tick in ticks(low, high, 6) {
        svg.line((at(tick), TOP), (at(tick), bottom), PALE);
        svg.text((at(tick), bottom + 16.0), "middle", INK, &short(tick));
    }
    for (row, place) in places.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        if row % 2 == 1 {
            svg.line((left, y), (left + WIDTH, y), "#f0f0f0");
        }
        svg.text((left - 8.0, y + 4.0), "end", INK, &format!("{}. {}", row + 1, place.name));
        svg.beam((at(place.interval.0), y), (at(place.interval.1), y), "#7fb8d8");
        svg.circle((at(place.mean), y), 4.5, BLUE);
        svg.text((left + WIDTH + 10.0, y + 4.0), "start", INK, &format!("{:.1}", place.mean));
    }
    svg.text(
        (left + WIDTH / 2.0, bottom + 36.0),
        "middle",
        INK,
        "the bar says how much the benchmarks of the group agree",
    );
    svg.end()
}
