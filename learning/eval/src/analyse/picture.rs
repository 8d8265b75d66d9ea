//! Pictures of an analysis, as SVG.

use std::fmt::Write as _;

use super::{Blind, Component, Place};
use crate::compare::escaped;
use crate::suite::{self, Group};

const FONT: &str = "font-family=\"system-ui, sans-serif\" font-size=\"12\"";
/// The colour of text.
pub const INK: &str = "#222";

/// One colour for each group, told apart also by those who see few colours (Okabe and Ito).
fn colour(group: Option<Group>) -> &'static str {
    match group {
        Some(Group::General) => "#0072b2",
        Some(Group::Knowledge) => "#e69f00",
        Some(Group::Ocr) => "#009e73",
        Some(Group::Vision) => "#cc79a7",
        None => "#666",
    }
}

/// A drawing of a size, in pixels from the upper left corner.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    /// An empty one.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// A filled rectangle: left, top, width, height.
    pub fn rect(&mut self, (x, y, w, h): (f64, f64, f64, f64), fill: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.1}\" height=\"{h:.1}\" fill=\"{fill}\"/>"
        );
    }

    /// A line of one pixel.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), stroke: &str) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\"/>"
        );
    }

    /// A filled circle.
    pub fn circle(&mut self, (x, y): (f64, f64), r: f64, fill: &str) {
        let _ = writeln!(self.body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\" fill=\"{fill}\"/>");
    }

    /// Text whose `anchor` is `start`, `middle` or `end`.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: &str, fill: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{}</text>",
            escaped(text)
        );
    }

    /// Upwards.
    fn upright(&mut self, (x, y): (f64, f64), fill: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-60)\" fill=\"{fill}\">{}</text>",
            escaped(text)
        );
    }

    /// The whole file.
    pub fn end(self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" width=\"{w:.0}\" height=\"{h:.0}\" {FONT}>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
            self.body,
            w = self.width,
            h = self.height
        )
    }
}

fn group_of(name: &str) -> Option<Group> {
    suite::named(name).map(|column| column.group)
}

/// From blue at -1 over white to red at 1.
fn heat(value: f64) -> String {
    let fade = |share: f64| (255.0 * (1.0 - share)).round() as u8;
    let part = value.abs().min(1.0);
    match value < 0.0 {
        true => format!("rgb({},{},255)", fade(part), fade(0.6 * part)),
        false => format!("rgb(255,{},{})", fade(0.8 * part), fade(part)),
    }
}

/// The correlation of every two benchmarks, in the order of their clusters.
pub fn heatmap(names: &[String], correlations: &[Vec<f64>], order: &[usize]) -> String {
    const CELL: f64 = 34.0;
    const LEFT: f64 = 90.0;
    const TOP: f64 = 80.0;
    let side = CELL * order.len() as f64;
    let mut svg = Svg::new(LEFT + side + 50.0, TOP + side + 10.0);
    for (row, i) in order.iter().enumerate() {
        let y = TOP + CELL * row as f64;
        let ink = colour(group_of(&names[*i]));
        svg.text((LEFT - 6.0, y + CELL / 2.0 + 4.0), "end", ink, &names[*i]);
        svg.upright((LEFT + CELL * row as f64 + CELL / 2.0, TOP - 6.0), ink, &names[*i]);
        for (column, j) in order.iter().enumerate() {
            let x = LEFT + CELL * column as f64;
            let value = correlations[*i][*j];
            svg.rect((x, y, CELL - 1.0, CELL - 1.0), &heat(value));
            let ink = if value > 0.75 { "white" } else { INK };
            svg.text(
                (x + CELL / 2.0, y + CELL / 2.0 + 4.0),
                "middle",
                ink,
                &format!("{value:.2}").replace("0.", "."),
            );
        }
    }
    svg.end()
}

/// Benchmarks on two principal components.
pub fn scatter(names: &[String], components: &[Component]) -> String {
    const SIDE: f64 = 520.0;
    const MARGIN: f64 = 50.0;
    let mut svg = Svg::new(SIDE + 2.0 * MARGIN + 60.0, SIDE + 2.0 * MARGIN);
    let [first, second] = components else { return svg.end() };
    // Loadings are correlations, so that the square from -1 to 1 has them all.
    let at = |x: f64, y: f64| (MARGIN + SIDE * (x + 1.0) / 2.0, MARGIN + SIDE * (1.0 - y) / 2.0);
    svg.line(at(-1.0, 0.0), at(1.0, 0.0), "#bbb");
    svg.line(at(0.0, -1.0), at(0.0, 1.0), "#bbb");
    let share = |component: &Component| format!("{:.0} % of the variance", 100.0 * component.share);
    svg.text(at(1.0, -0.05), "end", INK, &format!("first component: {}", share(first)));
    svg.text((at(0.0, 1.0).0 + 6.0, at(0.0, 1.0).1), "start", INK, &format!("second: {}", share(second)));
    for (name, (x, y)) in names.iter().zip(first.loadings.iter().zip(&second.loadings)) {
        let (x, y) = at(*x, *y);
        let ink = colour(group_of(name));
        svg.circle((x, y), 5.0, ink);
        svg.text((x + 8.0, y + 4.0), "start", ink, name);
    }
    svg.end()
}

/// Seeing, blind and guessing, benchmark by benchmark, the widest gap first.
pub fn bars(bars: &[Blind]) -> String {
    const ROW: f64 = 44.0;
    const LEFT: f64 = 230.0;
    const WIDTH: f64 = 520.0;
    let mut sorted: Vec<&Blind> = bars.iter().collect();
    sorted.sort_by(|a, b| (b.seeing - b.blind).total_cmp(&(a.seeing - a.blind)));
    let mut svg = Svg::new(LEFT + WIDTH + 80.0, 40.0 + ROW * sorted.len() as f64);
    svg.text((LEFT, 20.0), "start", "#0072b2", "seeing");
    svg.text((LEFT + 70.0, 20.0), "start", "#e69f00", "blind");
    svg.text((LEFT + 130.0, 20.0), "start", INK, "| guessing");
    for (row, bar) in sorted.into_iter().enumerate() {
        let y = 32.0 + ROW * row as f64;
        // MME's sum of points is shown by its share of 2000.
        let most = if bar.seeing.max(bar.blind) > 100.0 { 2000.0 } else { 100.0 };
        let width = |value: f64| WIDTH * (value / most).clamp(0.0, 1.0);
        svg.text((LEFT - 8.0, y + 20.0), "end", INK, &bar.name);
        for (offset, value, fill) in [(2.0, bar.seeing, "#0072b2"), (18.0, bar.blind, "#e69f00")] {
            svg.rect((LEFT, y + offset, width(value), 14.0), fill);
            svg.text((LEFT + width(value) + 5.0, y + offset + 12.0), "start", INK, &format!("{value:.1}"));
        }
        if let Some(chance) = bar.chance {
            svg.line((LEFT + width(chance), y), (LEFT + width(chance), y + 36.0), INK);
        }
    }
    svg.end()
}

/// A ranking with intervals.
pub fn ranking_chart(title: &str, places: &[Place]) -> String {
    const ROW: f64 = 26.0;
    const LEFT: f64 = 250.0;
    const WIDTH: f64 = 420.0;
    let mut svg = Svg::new(LEFT + WIDTH + 70.0, 40.0 + ROW * places.len() as f64);
    svg.text((LEFT, 20.0), "start", INK, title);
    let low = places.iter().map(|place| place.interval.0).fold(f64::INFINITY, f64::min);
    let high = places.iter().map(|place| place.interval.1).fold(f64::NEG_INFINITY, f64::max);
    let span = (high - low).max(1e-9);
    let at = |value: f64| LEFT + WIDTH * (value - low) / span;
    for (row, place) in places.iter().enumerate() {
        let y = 44.0 + ROW * row as f64;
        svg.text((LEFT - 8.0, y + 4.0), "end", INK, &place.name);
        svg.line((at(place.interval.0), y), (at(place.interval.1), y), "#0072b2");
        svg.circle((at(place.mean), y), 4.0, "#0072b2");
        svg.text((LEFT + WIDTH + 10.0, y + 4.0), "start", INK, &format!("{:.1}", place.mean));
    }
    svg.end()
}
