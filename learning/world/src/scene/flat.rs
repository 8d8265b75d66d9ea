//! Figures on paper.

use serde::{Deserialize, Serialize};

use super::Texture;
use super::words::{Colour, Figure, Size};
use crate::maths::V3;

/// How a figure is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// One colour.
    Filled,
    /// With a dark line about it.
    Bordered,
    /// A thick line, and paper inside.
    Outlined,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// Its shape.
    pub figure: Figure,
    /// Its colour by name.
    pub colour: Colour,
    /// Its colour exactly, linear.
    pub tint: V3,
    /// Its size by name.
    pub size: Size,
    /// Its centre.
    pub place: (f64, f64),
    /// Radius of the circle that holds it.
    pub radius: f64,
    /// Its direction, in radians.
    pub turn: f64,
    /// How it is drawn.
    pub style: Style,
}

/// A stroke that is no figure and that no question is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scribble {
    /// Its corners.
    pub points: Vec<(f64, f64)>,
    /// Its width.
    pub width: f64,
    /// Its colour, linear.
    pub tone: V3,
}

/// Figures on paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flat {
    /// What they are drawn on.
    pub paper: Texture,
    /// Below everything.
    pub scribbles: Vec<Scribble>,
    /// From the lowest to the uppermost.
    pub figures: Vec<Drawn>,
}
