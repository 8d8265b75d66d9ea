//! Charts of how a speed grows, as SVG.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;

/// Pixels.
const SIZE: (u32, u32) = (720, 420);
/// Distinct for most kinds of colour vision (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];

/// A chart of speeds against something that was varied.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Above it.
    pub title: String,
    /// What was varied.
    pub x: String,
    /// What was measured.
    pub y: String,
    /// Distances on the x axis.
    pub scale: Scale,
    /// Lines.
    pub series: Vec<Series>,
}

/// Distances on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Of the values.
    Linear,
    /// Of their logarithms: for values that double.
    Logarithmic,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// From left to right.
    pub points: Vec<Point>,
}

/// A measured value with its quartiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Position; above zero.
    pub x: f64,
    /// Lower quartile.
    pub low: f64,
    /// Median.
    pub y: f64,
    /// Upper quartile.
    pub high: f64,
}

/// Why there is no chart.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// There are no points.
    #[error("there is nothing to draw: no point was measured")]
    Empty,
    /// The drawing library refused.
    #[error("cannot draw: {0}")]
    Draw(String),
}

impl Chart {
    /// The chart as the text of an SVG file.
    ///
    /// # Errors
    /// [`ChartError::Empty`] for a chart without points.
    pub fn svg(&self) -> Result<String, ChartError> {
        let mut text = String::new();
        self.draw(SVGBackend::with_string(&mut text, SIZE).into_drawing_area())?;
        Ok(text)
    }

    fn draw(&self, area: DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Result<(), ChartError> {
        let draw = |e: &dyn std::fmt::Display| ChartError::Draw(e.to_string());
        let points = || self.series.iter().flat_map(|s| &s.points);
        let mut ticks: Vec<f64> = points().map(|p| p.x).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let (Some(&first), Some(&last)) = (ticks.first(), ticks.last()) else {
            return Err(ChartError::Empty);
        };
        let (left, right) = (self.at(first), self.at(last));
        let margin = 0.04 * (right - left).max(1.0);
        let top = points().map(|p| p.high).fold(0.0, f64::max) * 1.08;
        let marks = ticks.iter().map(|&x| self.at(x)).collect();

        area.fill(&WHITE).map_err(|e| draw(&e))?;
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(62)
            .build_cartesian_2d(
                Marked { ends: left - margin..right + margin, marks },
                0.0..top.max(f64::MIN_POSITIVE),
            )
            .map_err(|e| draw(&e))?;
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .y_label_formatter(&|y| y.to_string())
            .x_label_formatter(&|x| format!("{:.0}", self.value(*x)))
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(225, 225, 225))
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .draw()
            .map_err(|e| draw(&e))?;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let line = series.points.iter().map(|p| (self.at(p.x), p.y));
            chart
                .draw_series(LineSeries::new(line, colour.stroke_width(2)).point_size(3))
                .map_err(|e| draw(&e))?
                .label(&series.name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            let spread = series.points.iter().map(|p| {
                PathElement::new([(self.at(p.x), p.low), (self.at(p.x), p.high)], colour.stroke_width(1))
            });
            chart.draw_series(spread).map_err(|e| draw(&e))?;
        }
        chart
            .configure_series_labels()
            .position(self.free_corner())
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 13))
            .draw()
            .map_err(|e| draw(&e))?;
        area.present().map_err(|e| draw(&e))
    }

    /// Speeds fall or rise towards the right: the legend stands where they do not.
    fn free_corner(&self) -> SeriesLabelPosition {
        let falling =
            |s: &&Series| matches!((s.points.first(), s.points.last()), (Some(a), Some(b)) if b.y < a.y);
        if 2 * self.series.iter().filter(falling).count() > self.series.len() {
            SeriesLabelPosition::UpperRight
        } else {
            SeriesLabelPosition::LowerRight
        }
    }

    fn at(&self, x: f64) -> f64 {
        match self.scale {
            Scale::Linear => x,
            Scale::Logarithmic => x.log2(),
        }
    }

    fn value(&self, position: f64) -> f64 {
        match self.scale {
            Scale::Linear => position,
            Scale::Logarithmic => position.exp2(),
        }
    }
}

/// An axis with marks at the measured values only.
struct Marked {
    ends: Range<f64>,
    marks: Vec<f64>,
}

impl Ranged for Marked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let share = (value - self.ends.start) / (self.ends.end - self.ends.start);
        start + (share * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.ends.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, points: &[(f64, f64)]) -> Chart {
        let points = points.iter().map(|&(x, y)| Point { x, low: 0.9 * y, y, high: 1.1 * y }).collect();
        let series = vec![Series { name: "tiny <bf16>".into(), points }];
        Chart { title: "Growth".into(), x: "batch".into(), y: "images/s".into(), scale, series }
    }

    #[test]
    fn names_and_ticks_are_in_the_picture() {
        let svg = chart(Scale::Logarithmic, &[(1.0, 5.0), (8.0, 9.0), (32.0, 9.5)]).svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for part in ["Growth", "images/s", "tiny &lt;bf16&gt;", "\n32\n", "\n8\n"] {
            assert!(svg.contains(part), "no {part:?} in\n{svg}");
        }
    }

    #[test]
    fn one_point_is_a_chart_and_none_is_not() {
        assert!(chart(Scale::Linear, &[(336.0, 2.0)]).svg().is_ok());
        assert!(matches!(chart(Scale::Linear, &[]).svg(), Err(ChartError::Empty)));
    }
}
