//! A drawing, and what all pictures of an analysis share: ink, colours of groups, ticks.

use std::fmt::Write as _;

use crate::compare::escaped;
use crate::suite::{self, Group};

const FONT: &str = "font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\" font-size=\"12\"";
/// The colour of text.
pub const INK: &str = "#222";
pub(super) const PALE: &str = "#ddd";
pub(super) const BLUE: &str = "#0072b2";
pub(super) const ORANGE: &str = "#e69f00";

/// About how wide a letter is, in pixels.
pub(super) const LETTER: f64 = 7.6;

/// One colour for each group, told apart also by those who see few colours (Okabe and Ito).
pub(super) fn colour(group: Option<Group>) -> &'static str {
    match group {
        Some(Group::General) => BLUE,
        Some(Group::Knowledge) => "#b87a00",
        Some(Group::Ocr) => "#00835f",
        Some(Group::Vision) => "#b8568d",
        None => "#666",
    }
}

/// The group of a benchmark.
pub(super) fn group_of(name: &str) -> Option<Group> {
    suite::named(name).map(|column| column.group)
}

/// Round numbers from `low` to `high`, about `count` of them.
pub(super) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low).max(1e-9) / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|at| at as f64 * step).collect()
}

/// A number without needless digits.
pub(super) fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.to_owned() }
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

    /// A line that is seen from afar.
    pub(super) fn beam(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), stroke: &str) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\" stroke-width=\"2\"/>"
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

    /// Turned by `degrees` around its beginning, or its middle.
    pub(super) fn turned(&mut self, (x, y): (f64, f64), degrees: i32, anchor: &str, fill: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<text transform=\"translate({x:.1} {y:.1}) rotate({degrees})\" text-anchor=\"{anchor}\" fill=\"{fill}\">{}</text>",
            escaped(text)
        );
    }

    /// Names beside their colours, from left to right; where the next one would stand.
    pub(super) fn legend(&mut self, (x, y): (f64, f64), entries: &[(&str, &str)]) -> f64 {
        let mut at = x;
        for (name, fill) in entries {
            self.rect((at, y - 10.0, 12.0, 12.0), fill);
            self.text((at + 17.0, y), "start", INK, name);
            at += 17.0 + LETTER * name.chars().count() as f64 + 18.0;
        }
        at
    }

    /// The groups of the paper beside their colours.
    pub(super) fn groups(&mut self, at: (f64, f64)) {
        let entries = Group::ALL.map(|group| (group.name(), colour(Some(group))));
        self.legend(at, &entries);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks(0.0, 100.0, 5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(57.3, 79.9, 5), [60.0, 65.0, 70.0, 75.0]);
        assert_eq!(ticks(-0.31, 0.98, 6).iter().map(|t| short(*t)).collect::<Vec<_>>().join(" "), "0 0.5");
        assert!(ticks(5.0, 5.0, 4).len() <= 5);
    }
}
