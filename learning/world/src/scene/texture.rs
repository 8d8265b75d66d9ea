//! What covers grounds, walls and paper.

use serde::{Deserialize, Serialize};

use crate::maths::V3;

/// How a surface is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weave {
    /// One colour.
    Plain,
    /// A slow change from one colour to the other.
    Gradient,
    /// Squares of both colours in turn.
    Checker,
    /// Boards with joints.
    Planks,
    /// Stones with joints, each row moved by half.
    Bricks,
    /// Irregular spots: sand, grass, wool.
    Speckle,
    /// Bands.
    Stripes,
    /// Veins.
    Marble,
    /// Thin lines in both directions.
    Grid,
}

impl Weave {
    /// As captions say it of a floor or wall.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gradient => "shaded",
            Self::Checker => "checkered",
            Self::Planks => "wooden",
            Self::Bricks => "brick",
            Self::Speckle => "speckled",
            Self::Stripes => "striped",
            Self::Marble => "marble",
            Self::Grid => "tiled",
        }
    }
}

/// A surface.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Texture {
    /// How it is made.
    pub weave: Weave,
    /// Length of one repeat: metres in space, units of the longer side on paper.
    pub scale: f64,
    /// Its direction, in radians.
    pub turn: f64,
    /// Reflected light of its two parts, linear.
    pub colours: [V3; 2],
    /// Where its irregularities begin.
    pub seed: u32,
}
