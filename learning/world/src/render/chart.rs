//! Charts.

use crate::maths::V3;
use crate::scene::{Chart, ChartKind, Texture, Weave};

use super::canvas::{Canvas, Outlines};
use super::{Seen, outline, paper};

/// Draws in units of the longer side.
struct Pad<'a> {
    canvas: Canvas,
    scale: f64,
    chart: &'a Chart,
}

impl Pad<'_> {
    fn scaled(&self, outlines: &Outlines) -> Outlines {
        outline::placed(outlines, (0.0, 0.0), 0.0, self.scale)
    }

    fn fill(&mut self, outlines: &Outlines, colour: V3, thing: Option<usize>) {
        let outlines = self.scaled(outlines);
        self.canvas.fill(&outlines, colour, thing);
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, colour: V3) {
        self.fill(&outline::stroke(&[from, to], width, false), colour, None);
    }

    /// Text with capitals `height` high; `align` -1 begins there, 0 is centred, 1 ends there.
    fn text(&mut self, text: &str, at: (f64, f64), height: f64, align: f64) {
        let (letters, half) = outline::text(text, self.chart.face);
        let at = (at.0 - align * half * height, at.1);
        let ink = self.chart.ink;
        self.fill(&outline::placed(&letters, at, 0.0, height), ink, None);
    }

    fn colour(&self, index: usize) -> V3 {
        self.chart.colours.get(index).or(self.chart.colours.first()).map_or(self.chart.ink, |c| c.albedo())
    }
}

const LETTER: f64 = 0.03;

pub(super) fn chart(chart: &Chart, size: (usize, usize)) -> Seen {
    let sheet =
        Texture { weave: Weave::Plain, scale: 1.0, turn: 0.0, colours: [chart.paper, chart.paper], seed: 0 };
    let (canvas, scale) = paper::sheet(&sheet, size, chart.values.len());
    let mut pad = Pad { canvas, scale, chart };
    let (w, h) = (size.0 as f64 / scale, size.1 as f64 / scale);
    let top = if chart.title.is_some() { 0.14 } else { 0.06 };
    if let Some(title) = &chart.title {
        pad.text(title, (w / 2.0, 0.065), LETTER * 1.25, 0.0);
    }
    match chart.chart {
        ChartKind::Pie => pie(&mut pad, (w, h), top),
        ChartKind::Rows => rows(&mut pad, (w, h), top),
        ChartKind::Bars | ChartKind::Line => upright(&mut pad, (w, h), top),
    }
    paper::seen(pad.canvas)
}

/// Share of the axis at which a value stands.
fn share(chart: &Chart, value: u32) -> f64 {
    f64::from(value) / f64::from(chart.top.max(1))
}

fn ticks(chart: &Chart) -> impl Iterator<Item = u32> + use<> {
    let (tick, top) = (chart.tick.max(1), chart.top);
    (0..=top / tick).map(move |i| i * tick)
}

/// Height of letters with which the widest of these is no wider than `room`.
fn fitting<'a>(chart: &Chart, texts: impl IntoIterator<Item = &'a str>, room: f64) -> f64 {
    let widest = texts.into_iter().map(|text| outline::text(text, chart.face).1).fold(0.1, f64::max);
    LETTER.min(room / (2.0 * widest))
}

fn upright(pad: &mut Pad<'_>, (w, h): (f64, f64), top: f64) {
    let chart = pad.chart;
    let (left, right, bottom) = (0.13, w - 0.05, h - 0.1);
    let y = |value: u32| bottom - (bottom - top) * share(chart, value);
    for tick in ticks(chart) {
        if chart.grid && tick > 0 {
            pad.line((left, y(tick)), (right, y(tick)), 0.003, chart.ink.mix(chart.paper, 0.75));
        }
        pad.text(&tick.to_string(), (left - 0.02, y(tick)), LETTER, 1.0);
        pad.line((left - 0.012, y(tick)), (left, y(tick)), 0.004, chart.ink);
    }
    let step = (right - left) / chart.values.len().max(1) as f64;
    let x = |i: usize| left + step * (i as f64 + 0.5);
    let letter = fitting(chart, chart.labels.iter().map(String::as_str), 0.9 * step);
    if chart.chart == ChartKind::Line {
        let points: Vec<_> = chart.values.iter().enumerate().map(|(i, v)| (x(i), y(*v))).collect();
        pad.fill(&outline::stroke(&points, 0.01, false), pad.colour(0), None);
    }
    for (i, value) in chart.values.iter().enumerate() {
        let colour = pad.colour(i);
        let mark = match chart.chart {
            ChartKind::Line => outline::circle((x(i), y(*value)), 0.018),
            _ => outline::rectangle((x(i) - 0.33 * step, y(*value)), (x(i) + 0.33 * step, bottom)),
        };
        pad.fill(&vec![mark], colour, Some(i));
        if chart.printed {
            let lift = if chart.chart == ChartKind::Line { 0.05 } else { 0.032 };
            pad.text(&value.to_string(), (x(i), y(*value) - lift), LETTER, 0.0);
        }
        if let Some(label) = chart.labels.get(i) {
            pad.text(label, (x(i), bottom + 0.042), letter, 0.0);
        }
    }
    pad.line((left, bottom), (right, bottom), 0.005, chart.ink);
    pad.line((left, top - 0.02), (left, bottom), 0.005, chart.ink);
}

fn rows(pad: &mut Pad<'_>, (w, h): (f64, f64), top: f64) {
    let chart = pad.chart;
    let (left, right, bottom) = (0.2, w - 0.08, h - 0.1);
    let x = |value: u32| left + (right - left) * share(chart, value);
    let letter = fitting(chart, [chart.top.to_string().as_str()], 0.8 * (x(chart.tick) - left));
    for tick in ticks(chart) {
        if chart.grid && tick > 0 {
            pad.line((x(tick), top), (x(tick), bottom), 0.003, chart.ink.mix(chart.paper, 0.75));
        }
        pad.text(&tick.to_string(), (x(tick), bottom + 0.042), letter, 0.0);
        pad.line((x(tick), bottom), (x(tick), bottom + 0.012), 0.004, chart.ink);
    }
    let step = (bottom - top) / chart.values.len().max(1) as f64;
    for (i, value) in chart.values.iter().enumerate() {
        let y = top + step * (i as f64 + 0.5);
        let colour = pad.colour(i);
        let bar = outline::rectangle((left, y - 0.33 * step), (x(*value), y + 0.33 * step));
        pad.fill(&vec![bar], colour, Some(i));
        if chart.printed {
            pad.text(&value.to_string(), (x(*value) + 0.015, y), LETTER, -1.0);
        }
        if let Some(label) = chart.labels.get(i) {
            pad.text(label, (left - 0.02, y), LETTER, 1.0);
        }
    }
    pad.line((left, top - 0.01), (left, bottom), 0.005, chart.ink);
    pad.line((left, bottom), (right, bottom), 0.005, chart.ink);
}

fn pie(pad: &mut Pad<'_>, (w, h): (f64, f64), top: f64) {
    let chart = pad.chart;
    // The names stand beside the pie, or below it where there is more room.
    let wide = w >= h;
    let r = if wide {
        (0.5 * (h - top) - 0.03).min(0.5 * w - 0.2)
    } else {
        (0.5 * w - 0.08).min(0.5 * (h - top) - 0.16)
    };
    let r = r.min(0.32);
    let centre = if wide { (0.05 + r + 0.02, top + (h - top) / 2.0) } else { (w / 2.0, top + r + 0.02) };
    let mut from = -std::f64::consts::FRAC_PI_2;
    let mut middles = Vec::new();
    for (i, value) in chart.values.iter().enumerate() {
        let to = from + std::f64::consts::TAU * f64::from(*value) / 100.0;
        let colour = pad.colour(i);
        pad.fill(&vec![outline::slice(centre, r, from, to)], colour, Some(i));
        middles.push((from + to) / 2.0);
        from = to;
    }
    let mut from = -std::f64::consts::FRAC_PI_2;
    for value in &chart.values {
        let end = (centre.0 + r * libm::cos(from), centre.1 + r * libm::sin(from));
        pad.line(centre, end, 0.005, chart.paper);
        from += std::f64::consts::TAU * f64::from(*value) / 100.0;
    }
    if chart.printed {
        for (middle, value) in middles.iter().zip(&chart.values) {
            let at = (centre.0 + 0.68 * r * libm::cos(*middle), centre.1 + 0.68 * r * libm::sin(*middle));
            // On a plate, so that it can be read on every colour.
            let text = format!("{value}%");
            let (_, half) = outline::text(&text, chart.face);
            let (x, y) = (half * LETTER + 0.01, LETTER * 0.5 + 0.01);
            let plate = outline::rectangle((at.0 - x, at.1 - y), (at.0 + x, at.1 + y));
            pad.fill(&vec![plate], chart.paper, None);
            pad.text(&text, at, LETTER, 0.0);
        }
    }
    let count = chart.labels.len() as f64;
    for (i, label) in chart.labels.iter().enumerate() {
        let at = if wide {
            (centre.0 + r + 0.06, centre.1 + (i as f64 - (count - 1.0) / 2.0) * 0.062)
        } else {
            (0.08 + (i % 2) as f64 * w * 0.48, centre.1 + r + 0.06 + (i / 2) as f64 * 0.058)
        };
        let colour = pad.colour(i);
        pad.fill(&vec![outline::rectangle((at.0, at.1 - 0.016), (at.0 + 0.032, at.1 + 0.016))], colour, None);
        pad.text(label, (at.0 + 0.045, at.1), LETTER, -1.0);
    }
}
