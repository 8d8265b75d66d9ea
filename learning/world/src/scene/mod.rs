//! A scene as data: everything from which a picture follows, and nothing else. JSON, so that a set can be read without Zoo.

mod chart;
mod flat;
mod key;
mod page;
mod room;
mod texture;
pub mod words;

use serde::{Deserialize, Serialize};

pub use chart::{Chart, ChartKind};
pub use flat::{Drawn, Flat, Scribble, Style};
pub use key::{keys, owner, text_owner};
pub use page::{Page, Printed, Text};
pub use room::{Back, Camera, Lamp, Object, Room};
pub use texture::{Texture, Weave};

/// Which part of the world a scene belongs to. The parameters themselves are divided ([`keys`], [`owner`]), so that parts of
/// any seed and any size have no scene in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from: eight of ten scenes.
    Train,
    /// To choose by while learning: one of ten.
    Val,
    /// To be judged on: one of ten.
    Test,
}

impl Split {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Train, Self::Val, Self::Test];

    /// Name of its folder.
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// What kind of picture it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Bodies in space, in perspective.
    Room,
    /// Figures on paper.
    Flat,
    /// Printed words and numbers.
    Page,
    /// A chart of bars, a line or slices.
    Chart,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Room, Self::Flat, Self::Page, Self::Chart];

    /// As options and file names write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Flat => "flat",
            Self::Page => "page",
            Self::Chart => "chart",
        }
    }
}

/// What is seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Body {
    /// Bodies in space.
    Room(Room),
    /// Figures on paper.
    Flat(Flat),
    /// Printed words and numbers.
    Page(Page),
    /// A chart.
    Chart(Chart),
}

/// What the camera adds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    /// Standard deviation of the noise, in levels of 8 bits.
    pub noise: f64,
    /// Weight of the eight neighbours in each pixel, 0 to 1.
    pub blur: f64,
    /// How much darker corners are, 0 to 1.
    pub vignette: f64,
    /// Where the noise begins.
    pub seed: u32,
}

/// A scene. Lengths in pictures are in units of the longer side; x to the right, y down, from the upper left corner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// The part that it belongs to.
    pub split: Split,
    /// Its number there.
    pub index: u64,
    /// Width to height, in small whole numbers.
    pub aspect: (u32, u32),
    /// What is seen.
    pub body: Body,
    /// What the camera adds.
    pub sensor: Sensor,
}

impl Scene {
    /// `(width, height)` in pixels where the longer side has `side`.
    pub fn pixels(&self, side: u32) -> (usize, usize) {
        let (w, h) = self.aspect;
        let long = w.max(h).max(1);
        let of = |part: u32| ((side * part + long / 2) / long).max(1) as usize;
        (of(w), of(h))
    }

    /// `(width, height)` in units of the longer side.
    pub fn extent(&self) -> (f64, f64) {
        extent(self.aspect)
    }

    /// What kind of picture it is.
    pub fn kind(&self) -> Kind {
        match self.body {
            Body::Room(_) => Kind::Room,
            Body::Flat(_) => Kind::Flat,
            Body::Page(_) => Kind::Page,
            Body::Chart(_) => Kind::Chart,
        }
    }

    /// How it is called in a set: `test-000012`.
    pub fn name(&self) -> String {
        format!("{}-{:06}", self.split.word(), self.index)
    }
}

pub(crate) fn extent((w, h): (u32, u32)) -> (f64, f64) {
    let long = f64::from(w.max(h).max(1));
    (f64::from(w) / long, f64::from(h) / long)
}
