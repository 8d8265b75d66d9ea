//! Class labels: which classes and colours are there, each yes or no, as supervised encoders learn.

use candle_core::{Result as Candle, Tensor};
use zoo_world::Rng;
use zoo_world::scene::words::{Class, Colour};

use super::{Asked, Frame, Objective};
use crate::Result;
use crate::eye::Features;
use crate::head::{Head, pooled, softplus};
use crate::scenes::Shown;

/// A linear classifier on pooled tokens.
pub(super) struct Labels(Head);

impl Labels {
    pub fn new(frame: Frame, seed: u64) -> Candle<Self> {
        let outputs = Class::ALL.len() + Colour::ALL.len();
        Ok(Self(Head::new(seed).linear("labels", 2 * frame.channels, outputs)?))
    }
}

impl Objective for Labels {
    fn ask(&self, shown: Shown, _: &mut Rng) -> Asked {
        let mut target = vec![0.0; Class::ALL.len() + Colour::ALL.len()];
        for thing in shown.truth.things.iter().filter(|thing| shown.truth.clear(thing)) {
            target[thing.class as usize] = 1.0;
            if let Some(colour) = thing.colour {
                target[Class::ALL.len() + colour as usize] = 1.0;
            }
        }
        Asked { views: vec![shown.image], target }
    }

    fn loss(&self, features: &Features, targets: &Tensor) -> Result<Tensor> {
        let logits = self.0.apply("labels", &pooled(&features.tokens)?)?;
        // softplus(x) - y x: binary cross-entropy.
        let loss = (softplus(&logits)? - (targets * &logits)?)?;
        Ok(loss.mean_all()?)
    }

    fn head(&self) -> &Head {
        &self.0
    }
}
