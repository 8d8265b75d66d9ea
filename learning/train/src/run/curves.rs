//! Loss and rates of a run as a picture: `curves.svg`.

use std::path::Path;

use plotters::prelude::*;

use super::export::replace;
use super::log::Step;
use crate::{Error, Result};

const NAME: &str = "curves.svg";
/// Pixels.
const SIZE: (u32, u32) = (900, 640);
/// Distinct for most kinds of colour vision (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
];

/// Draws all steps into the folder of a run. Nothing where there is nothing to draw.
pub(super) fn draw(out: &Path, steps: &[Step]) -> Result<()> {
    let losses: Vec<(f64, f64)> = steps.iter().filter_map(|s| Some((s.step as f64, s.loss?))).collect();
    if losses.len() < 2 {
        return Ok(());
    }
    let mut text = String::new();
    picture(&mut text, &losses, steps).map_err(|e| Error::Internal(format!("{NAME}: {e}")))?;
    replace(&out.join(NAME), text.as_bytes())
}

fn picture(text: &mut String, losses: &[(f64, f64)], steps: &[Step]) -> Result<(), String> {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(said)?;
    let (above, below) = area.split_vertically(SIZE.1 * 3 / 5);
    let smooth = smoothed(losses);
    let lines = [("loss", losses.to_vec()), ("its running mean", smooth)];
    panel(&above, "loss in nats per trained token", &lines)?;
    let groups = steps.first().map(|step| step.rates.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let rate = |group: &String| {
        let points = steps.iter().filter_map(|s| Some((s.step as f64, *s.rates.get(group)?)));
        points.collect::<Vec<_>>()
    };
    let rates: Vec<_> = groups.iter().map(|group| (group.as_str(), rate(group))).collect();
    panel(&below, "rates", &rates)?;
    area.present().map_err(said)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(area: &Area<'_>, title: &str, lines: &[(&str, Vec<(f64, f64)>)]) -> Result<(), String> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let last = all().map(|p| p.0).fold(1.0, f64::max);
    let highest = all().map(|p| p.1).fold(0.0, f64::max).max(1e-12);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(28)
        .y_label_area_size(70)
        .build_cartesian_2d(1.0..last.max(2.0), 0.0..highest * 1.05)
        .map_err(said)?;
    let label = |y: &f64| if highest < 0.01 { format!("{y:.1e}") } else { format!("{y:.2}") };
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("step")
        .y_label_formatter(&label)
        .draw()
        .map_err(said)?;
    for (index, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        let drawn = chart.draw_series(line).map_err(said)?.label(*name);
        drawn.legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    let legend = chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw();
    legend.map_err(said)
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The mean of a fiftieth of the steps up to each.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let width = (points.len() / 50).max(5);
    let mean = |i: usize| {
        let window = &points[(i + 1).saturating_sub(width)..=i];
        window.iter().map(|p| p.1).sum::<f64>() / window.len() as f64
    };
    points.iter().enumerate().map(|(i, point)| (point.0, mean(i))).collect()
}
