//! Masked reconstruction (SimMIM, arXiv 2111.09886): cells of the picture are hidden, and a linear map of their features says
//! what they looked like. As in MAE (arXiv 2111.06377) each patch is normalised by its own mean and deviation, and only hidden
//! ones count. Hidden cells have the colour of padding, so an encoder needs no token of its own for them.

use candle_core::{Result as Candle, Tensor};
use image::{Rgb, RgbImage};
use zoo_world::Rng;

use super::{Asked, Frame, Objective};
use crate::Result;
use crate::eye::Features;
use crate::head::Head;
use crate::scenes::Shown;

/// Share of the cells that is hidden.
const HIDDEN: f64 = 0.6;

/// From features to pixels.
pub(super) struct Masked {
    head: Head,
    frame: Frame,
}

impl Masked {
    pub fn new(frame: Frame, seed: u64) -> Candle<Self> {
        let (w, h) = frame.cell();
        Ok(Self { head: Head::new(seed).linear("pixels", frame.channels, 3 * w * h)?, frame })
    }
}

impl Objective for Masked {
    fn ask(&self, shown: Shown, rng: &mut Rng) -> Asked {
        let cells = self.frame.grid.cells();
        let mut order: Vec<usize> = (0..cells).collect();
        rng.shuffle(&mut order);
        let hidden = &order[..(cells as f64 * HIDDEN).round() as usize];
        let mut image = shown.image;
        let mut target = Vec::new();
        for cell in 0..cells {
            target.push(if hidden.contains(&cell) { 1.0 } else { 0.0 });
            target.extend(normalised(&self.patch(&image, cell)));
        }
        for cell in hidden {
            let pad = Rgb(self.frame.pad);
            self.places(*cell).for_each(|(x, y)| image.put_pixel(x, y, pad));
        }
        Asked { views: vec![image], target }
    }

    fn loss(&self, features: &Features, targets: &Tensor) -> Result<Tensor> {
        let (pictures, cells) = (features.tokens.dim(0)?, self.frame.grid.cells());
        let targets = targets.reshape((pictures, cells, ()))?;
        let hidden = targets.narrow(2, 0, 1)?.contiguous()?;
        let pixels = targets.narrow(2, 1, targets.dim(2)? - 1)?.contiguous()?;
        let off = (self.head.apply("pixels", &features.tokens)? - pixels)?.sqr()?.mean_keepdim(2)?;
        let count = hidden.sum_all()?.to_scalar::<f32>()?;
        Ok(((off * hidden)?.sum_all()? / f64::from(count.max(1.0)))?)
    }

    fn head(&self) -> &Head {
        &self.head
    }
}

impl Masked {
    /// The pixels of a cell.
    fn places(&self, cell: usize) -> impl Iterator<Item = (u32, u32)> + use<> {
        let (w, h) = self.frame.cell();
        let (left, top) = (cell % self.frame.grid.w * w, cell / self.frame.grid.w * h);
        (0..w * h).map(move |at| ((left + at % w) as u32, (top + at / w) as u32))
    }

    fn patch(&self, image: &RgbImage, cell: usize) -> Vec<f32> {
        self.places(cell).flat_map(|(x, y)| image.get_pixel(x, y).0.map(f32::from)).collect()
    }
}

/// With mean 0 and variance 1, or nearly 0 where all is alike.
fn normalised(patch: &[f32]) -> Vec<f32> {
    let count = patch.len().max(1) as f32;
    let mean = patch.iter().sum::<f32>() / count;
    let variance = patch.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / count;
    // A level of noise is no structure.
    let deviation = (variance + 16.0).sqrt();
    patch.iter().map(|x| (x - mean) / deviation).collect()
}
