//! Depth: of sixteen places in each cell, how near what is seen there is, as one over its distance in metres (the disparity
//! that MiDaS learns, arXiv 1907.01341). The sky is at 0. Pictures without depth are shown and ask nothing.

use candle_core::{DType, Result as Candle, Tensor};
use zoo_world::Rng;

use super::{Asked, Frame, Objective};
use crate::Result;
use crate::eye::Features;
use crate::head::Head;
use crate::scenes::Shown;

/// Places in a row of a cell.
const PARTS: usize = 4;
/// Metres within which nothing is.
const NEAREST: f32 = 0.5;
/// Of what nothing is known.
const UNKNOWN: f32 = -1.0;

/// From features to disparities.
pub(super) struct Depth {
    head: Head,
    frame: Frame,
}

impl Depth {
    pub fn new(frame: Frame, seed: u64) -> Candle<Self> {
        Ok(Self { head: Head::new(seed).linear("depth", frame.channels, PARTS * PARTS)?, frame })
    }
}

impl Objective for Depth {
    fn ask(&self, shown: Shown, _: &mut Rng) -> Asked {
        let near = |at: usize| match shown.depth.get(at) {
            Some(metres) if *metres > 0.0 => metres.max(NEAREST).recip(),
            _ => UNKNOWN,
        };
        let target = self.frame.middles(PARTS).map(near).collect();
        Asked { views: vec![shown.image], target }
    }

    fn loss(&self, features: &Features, targets: &Tensor) -> Result<Tensor> {
        let known = targets.ge(0.0)?.to_dtype(DType::F32)?;
        let said = self.head.apply("depth", &features.tokens)?.reshape(targets.shape())?;
        let count = known.sum_all()?.to_scalar::<f32>()?;
        Ok((((said - targets)?.abs()? * known)?.sum_all()? / f64::from(count.max(1.0)))?)
    }

    fn head(&self) -> &Head {
        &self.head
    }
}
