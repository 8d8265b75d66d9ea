//! Segmentation: of sixteen places in each cell, which class is seen there, grounds and the outside of the picture included.

use candle_core::{DType, Result as Candle, Tensor};
use zoo_nn::loss::cross_entropy;
use zoo_world::Rng;
use zoo_world::scene::words::Class;

use super::{Asked, Frame, Objective};
use crate::Result;
use crate::eye::Features;
use crate::head::Head;
use crate::scenes::Shown;

/// Places in a row of a cell.
const PARTS: usize = 4;

/// From features to classes.
pub(super) struct Segments {
    head: Head,
    frame: Frame,
}

impl Segments {
    /// All classes, and nothing.
    const CLASSES: usize = Class::ALL.len() + 1;

    pub fn new(frame: Frame, seed: u64) -> Candle<Self> {
        let outputs = PARTS * PARTS * Self::CLASSES;
        Ok(Self { head: Head::new(seed).linear("classes", frame.channels, outputs)?, frame })
    }
}

impl Objective for Segments {
    fn ask(&self, shown: Shown, _: &mut Rng) -> Asked {
        let class = |at: usize| shown.class.get(at).map_or(0.0, |class| f32::from(*class));
        let target = self.frame.middles(PARTS).map(class).collect();
        Asked { views: vec![shown.image], target }
    }

    fn loss(&self, features: &Features, targets: &Tensor) -> Result<Tensor> {
        let logits = self.head.apply("classes", &features.tokens)?.reshape(((), Self::CLASSES))?;
        Ok(cross_entropy(&logits, &targets.flatten_all()?.to_dtype(DType::U32)?)?)
    }

    fn head(&self) -> &Head {
        &self.head
    }
}
