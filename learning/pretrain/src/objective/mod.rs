//! What is asked of an encoder's features: what it is shown, a loss, and the head that learns it. One file each.

mod contrast;
mod depth;
mod labels;
mod masked;
mod segments;
mod views;

use candle_core::Tensor;
use image::RgbImage;
use serde::{Deserialize, Serialize};
use zoo_core::Grid;
use zoo_world::Rng;

use crate::eye::Features;
use crate::head::Head;
use crate::scenes::Shown;
use crate::{Error, Result};

/// What is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Which classes and colours are there.
    Labels,
    /// Which caption belongs to which picture.
    Contrast,
    /// Which two views are of one picture.
    Views,
    /// What hidden patches look like.
    Masked,
    /// How far everything is.
    Depth,
    /// What every part of the picture shows.
    Segments,
}

/// Sizes that an objective has to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// Side of a picture in pixels.
    pub side: usize,
    /// The grid of features.
    pub grid: Grid,
    /// Their channels.
    pub channels: usize,
    /// The colour of padding.
    pub pad: [u8; 3],
}

impl Frame {
    /// Pixels of a cell: `(width, height)`.
    fn cell(&self) -> (usize, usize) {
        (self.side / self.grid.w.max(1), self.side / self.grid.h.max(1))
    }

    /// Of every cell, row by row, the pixels in the middle of its `parts × parts` parts.
    fn middles(&self, parts: usize) -> impl Iterator<Item = usize> + '_ {
        let (w, h) = self.cell();
        let all =
            (0..self.grid.cells()).flat_map(move |cell| (0..parts * parts).map(move |part| (cell, part)));
        all.map(move |(cell, part)| {
            let (left, top) = (cell % self.grid.w * w, cell / self.grid.w * h);
            let middle = |size: usize, at: usize| (2 * at + 1) * size / (2 * parts);
            (top + middle(h, part / parts)) * self.side + left + middle(w, part % parts)
        })
    }
}

/// One picture as an objective wants it.
pub(crate) struct Asked {
    /// What is shown: one picture, or as many as there are views.
    pub views: Vec<RgbImage>,
    /// What is asked; of the same length for every picture.
    pub target: Vec<f32>,
}

/// A loss on what an encoder sees of a batch.
pub(crate) trait Objective: Send + Sync {
    /// What is shown and asked of a picture.
    fn ask(&self, shown: Shown, rng: &mut Rng) -> Asked;

    /// The mean loss. `features` are of all first views, then of all second ones; `targets` `[pictures, length]`. A graph
    /// leads from it to the features and to the head.
    fn loss(&self, features: &Features, targets: &Tensor) -> Result<Tensor>;

    /// What it learns besides.
    fn head(&self) -> &Head;
}

/// The objective of that kind.
pub(crate) fn of(kind: Kind, frame: Frame, seed: u64) -> Result<Box<dyn Objective>> {
    let made: candle_core::Result<Box<dyn Objective>> = match kind {
        Kind::Labels => labels::Labels::new(frame, seed).map(|made| Box::new(made) as _),
        Kind::Contrast => contrast::Contrast::new(frame, seed).map(|made| Box::new(made) as _),
        Kind::Views => views::Views::new(frame, seed).map(|made| Box::new(made) as _),
        Kind::Masked => masked::Masked::new(frame, seed).map(|made| Box::new(made) as _),
        Kind::Depth => depth::Depth::new(frame, seed).map(|made| Box::new(made) as _),
        Kind::Segments => segments::Segments::new(frame, seed).map(|made| Box::new(made) as _),
    };
    made.map_err(Error::from)
}
