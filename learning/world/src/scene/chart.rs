//! Charts of a few numbers.

use serde::{Deserialize, Serialize};

use super::words::{Colour, Typeface};
use crate::maths::V3;

/// How numbers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChartKind {
    /// Upright bars.
    Bars,
    /// Bars from left to right.
    Rows,
    /// Points joined by a line.
    Line,
    /// Slices of a circle.
    Pie,
}

impl ChartKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Bars, Self::Rows, Self::Line, Self::Pie];

    /// As questions say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bars => "bar chart",
            Self::Rows => "horizontal bar chart",
            Self::Line => "line chart",
            Self::Pie => "pie chart",
        }
    }

    /// What stands for one number in it.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Bars | Self::Rows => "bar",
            Self::Line => "point",
            Self::Pie => "slice",
        }
    }
}

/// A chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// How numbers are shown.
    pub chart: ChartKind,
    /// What stands above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The names, in order.
    pub labels: Vec<String>,
    /// The numbers; of a pie, per cent that sum to 100.
    pub values: Vec<u32>,
    /// Colours by name; of a line, one.
    pub colours: Vec<Colour>,
    /// Distance of the marks on the axis; every value is a multiple of it or is printed.
    pub tick: u32,
    /// The end of the axis.
    pub top: u32,
    /// Whether the numbers are printed beside their marks.
    pub printed: bool,
    /// Whether lines go through from the axis.
    pub grid: bool,
    /// The typeface of all that is printed.
    pub face: Typeface,
    /// Colour of the paper, linear.
    pub paper: V3,
    /// Colour of text and axes, linear.
    pub ink: V3,
}
