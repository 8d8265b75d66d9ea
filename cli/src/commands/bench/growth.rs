//! The chart: images per second against what was varied.

use std::collections::BTreeSet;

use zoo_core::Precision;
use zoo_measure::{Chart, Point, Scale, Series, Summary};
use zoo_terminal::CliError;

use super::Measured;
use super::cell::Cell;
use super::show::dtype;

/// Why there is no chart.
pub(super) const NOTHING: &str =
    "--plot: nothing was varied; give several values of --batch, --resolution or --threads, or an ensemble";

/// What can be on the x axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Axis {
    Threads,
    Resolution,
    Batch,
    Encoders,
}

impl Axis {
    const ALL: [Self; 4] = [Self::Threads, Self::Resolution, Self::Batch, Self::Encoders];

    fn label(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Resolution => "side of the image, pixels",
            Self::Batch => "images per call",
            Self::Encoders => "encoders",
        }
    }

    fn scale(self) -> Scale {
        match self {
            Self::Threads | Self::Batch => Scale::Logarithmic,
            Self::Resolution | Self::Encoders => Scale::Linear,
        }
    }

    fn value(self, cell: &Cell) -> usize {
        match self {
            Self::Threads => cell.threads,
            Self::Resolution => cell.resolution.unwrap_or(0),
            Self::Batch => cell.batch,
            Self::Encoders => cell.parts.len(),
        }
    }

    /// Whether there is something to see along it.
    fn varies(self, cells: &[Cell]) -> bool {
        match self {
            Self::Encoders => cells.iter().any(|cell| !cell.parts.is_empty()),
            // Encoders have sizes of their own: only what varies for one of them was varied.
            axis => cells.iter().any(|one| {
                let same = cells.iter().filter(|cell| cell.id == one.id);
                same.map(|cell| axis.value(cell)).collect::<BTreeSet<_>>().len() > 1
            }),
        }
    }
}

/// The chart of what was measured, along the first axis on which anything varies.
///
/// # Errors
/// [`CliError::Usage`] when nothing does.
pub(super) fn chart(measured: &Measured) -> Result<Chart, CliError> {
    let cells = &measured.cells;
    let axis = Axis::ALL
        .into_iter()
        .find(|axis| axis.varies(cells))
        .ok_or_else(|| CliError::Usage(NOTHING.into()))?;
    let mut series: Vec<Series> = Vec::new();
    for cell in cells {
        let points =
            if axis == Axis::Encoders { encoders(cell) } else { point(cell, axis).into_iter().collect() };
        let name = name(cell, axis, cells);
        match series.iter_mut().find(|s| s.name == name) {
            Some(known) => known.points.extend(points),
            None => series.push(Series { name, points }),
        }
    }
    for series in &mut series {
        series.points.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    let random = if cells.iter().any(|cell| cell.untrained) { ", random weights" } else { "" };
    let processor = measured.machines.first().map_or("", |machine| machine.processor.as_str());
    Ok(Chart {
        title: format!("{processor}{random}: median and quartiles of {} rounds", rounds(cells)),
        x: axis.label().into(),
        y: "images per second".into(),
        scale: axis.scale(),
        series,
    })
}

fn rounds(cells: &[Cell]) -> usize {
    cells.iter().map(|cell| cell.seconds.len()).max().unwrap_or(0)
}

fn point(cell: &Cell, axis: Axis) -> Option<Point> {
    let Summary { low, median, high } = Summary::of(&cell.seconds)?.inverted(|t| cell.batch as f64 / t);
    Some(Point { x: axis.value(cell) as f64, low, y: median, high })
}

/// One point for each number of encoders, in the order of the ensemble; the last one is the whole, connector included.
fn encoders(cell: &Cell) -> Vec<Point> {
    let members = cell.parts.iter().filter(|part| part.macs > 0).count();
    let calls = cell.parts.iter().map(|part| part.seconds.len()).min().unwrap_or(0);
    (1..=members)
        .filter_map(|count| {
            // With the last encoder comes what joins them.
            let taken = if count == members { cell.parts.len() } else { count };
            let sums: Vec<f64> = (0..calls)
                .map(|call| cell.parts[..taken].iter().map(|part| part.seconds[call]).sum())
                .collect();
            let Summary { low, median, high } = Summary::of(&sums)?.inverted(|t| cell.batch as f64 / t);
            Some(Point { x: count as f64, low, y: median, high })
        })
        .collect()
}

/// What tells a line from the others.
fn name(cell: &Cell, axis: Axis, cells: &[Cell]) -> String {
    let mut parts = vec![cell.id.clone()];
    if cells.iter().any(|other| other.dtype != cell.dtype) || cell.dtype != Precision::F32 {
        parts.push(dtype(cell.dtype).into());
    }
    let others = [(Axis::Threads, "threads"), (Axis::Resolution, "px"), (Axis::Batch, "a call")];
    for (other, unit) in others.into_iter().filter(|(other, _)| *other != axis && other.varies(cells)) {
        parts.push(format!("{} {unit}", other.value(cell)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::cell::MemberTime;

    fn cell(id: &str, batch: usize, resolution: usize, seconds: &[f64]) -> Cell {
        Cell { batch, resolution: Some(resolution), ..Cell::timed(id, seconds) }
    }

    fn measured(cells: Vec<Cell>) -> Measured {
        Measured { cells, ..Measured::default() }
    }

    #[test]
    fn what_was_varied_is_the_axis_and_what_else_differs_is_in_the_name() {
        let cells = [("a", 224), ("b", 384)].into_iter().flat_map(|(id, side)| {
            [4, 1].map(|batch| Cell { dtype: Precision::Bf16, ..cell(id, batch, side, &[0.5]) })
        });
        let chart = chart(&measured(cells.collect())).unwrap();
        assert_eq!((chart.x.as_str(), chart.scale), ("images per call", Scale::Logarithmic));
        assert_eq!(chart.series.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a, bf16", "b, bf16"]);
        let points: Vec<_> = chart.series[0].points.iter().map(|p| (p.x, p.y)).collect();
        assert_eq!(points, [(1.0, 2.0), (4.0, 8.0)]);
    }

    #[test]
    fn an_ensemble_grows_by_encoders_and_its_connector_comes_with_the_last() {
        let part = |id: &str, macs, seconds: [f64; 2]| MemberTime {
            id: id.into(),
            macs,
            seconds: seconds.to_vec(),
            alone: Vec::new(),
        };
        let parts =
            vec![part("a", 1, [0.5, 0.5]), part("b", 1, [0.25, 0.25]), part("joined", 0, [0.25, 0.25])];
        let chart = chart(&measured(vec![Cell { parts, ..cell("all", 2, 0, &[1.0, 1.0]) }])).unwrap();
        let points: Vec<_> = chart.series[0].points.iter().map(|p| (p.x, p.y)).collect();
        assert_eq!(points, [(1.0, 4.0), (2.0, 2.0)]);
    }

    #[test]
    fn nothing_varied_is_no_chart() {
        let error = chart(&measured(vec![cell("a", 1, 224, &[1.0]), cell("b", 1, 384, &[1.0])])).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
