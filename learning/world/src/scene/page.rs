//! Printed words and numbers.

use serde::{Deserialize, Serialize};

use super::words::{Colour, Typeface};
use super::{Scribble, Texture};
use crate::maths::V3;

/// What is printed, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Printed {
    /// The word or number, as it is printed.
    pub text: String,
    /// Its typeface.
    pub face: Typeface,
    /// Its colour by name.
    pub colour: Colour,
    /// Its colour exactly, linear.
    pub tint: V3,
}

impl Printed {
    /// Whether it is a number.
    pub fn number(&self) -> bool {
        self.text.bytes().all(|b| b.is_ascii_digit())
    }
}

/// A word or number on a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// What is printed.
    pub printed: Printed,
    /// Its centre.
    pub place: (f64, f64),
    /// Height of its capitals.
    pub height: f64,
    /// Its slope, in radians, in the direction of the clock.
    pub turn: f64,
    /// The colour of a plate below it, linear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate: Option<V3>,
}

/// Printed words and numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// What they are printed on.
    pub paper: Texture,
    /// Below everything.
    pub scribbles: Vec<Scribble>,
    /// No two touch.
    pub texts: Vec<Text>,
}
