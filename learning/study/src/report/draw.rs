//! Estimates as a picture: a dot and its interval in each line, on one axis.

use zoo_eval::analyse::{INK, Svg};

use super::Chart;

const ROW: f64 = 24.0;
const LEFT: f64 = 330.0;
const WIDTH: f64 = 430.0;
const TOP: f64 = 14.0;
/// For the mean in numbers, behind the axis.
const RIGHT: f64 = 170.0;
/// Ticks at most.
const TICKS: f64 = 7.0;
const LINE: &str = "#0072b2";
/// Of a single seed, whose interval nobody knows.
const PALE: &str = "#999";

/// A chart as SVG.
pub(super) fn chart(chart: &Chart) -> String {
    let mut low = if chart.differences { 0.0 } else { f64::INFINITY };
    let mut high = if chart.differences { 0.0 } else { f64::NEG_INFINITY };
    for (_, estimate) in &chart.lines {
        let (from, to) = shown(estimate.mean, estimate.interval);
        (low, high) = (low.min(from), high.max(to));
    }
    let step = step((high - low).max(1.0));
    let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
    let span = (high - low).max(step);
    let bottom = TOP + ROW * chart.lines.len() as f64;
    let mut svg = Svg::new(LEFT + WIDTH + RIGHT, bottom + 30.0);
    let at = |value: f64| LEFT + WIDTH * ((value - low) / span).clamp(0.0, 1.0);
    let mut tick = low;
    while tick <= low + span + step / 2.0 {
        let zero = chart.differences && tick.abs() < step / 2.0;
        svg.line((at(tick), TOP - 4.0), (at(tick), bottom), if zero { "#444" } else { "#ddd" });
        svg.text((at(tick), bottom + 18.0), "middle", INK, &format!("{}", rounded(tick)));
        tick += step;
    }
    for (row, (name, estimate)) in chart.lines.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        svg.text((LEFT - 10.0, y + 4.0), "end", INK, name);
        let ink = if estimate.interval.is_some() { LINE } else { PALE };
        if let Some((from, to)) = estimate.interval {
            svg.rect((at(from), y - 1.5, (at(to) - at(from)).max(1.0), 3.0), ink);
        }
        svg.circle((at(estimate.mean), y), 4.5, ink);
        svg.text((LEFT + WIDTH + 12.0, y + 4.0), "start", INK, &estimate.text());
    }
    svg.end()
}

/// What of an interval is shown: one of two seeds can be wider than any scale is good for.
fn shown(mean: f64, interval: Option<(f64, f64)>) -> (f64, f64) {
    const MOST: f64 = 60.0;
    let (from, to) = interval.unwrap_or((mean, mean));
    (from.max(mean - MOST), to.min(mean + MOST))
}

/// A round distance of ticks.
fn step(span: f64) -> f64 {
    let rough = span / TICKS;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|round| round * power).find(|step| *step >= rough).unwrap_or(rough)
}

fn rounded(value: f64) -> f64 {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded == 0.0 { 0.0 } else { rounded }
}
