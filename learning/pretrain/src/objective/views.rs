//! Contrast without labels (SimCLR, arXiv 2002.05709; MoCo v3 without its second encoder, arXiv 2104.02057): two views of a
//! picture, cut and coloured at random, are to be nearer to each other than to every other view of the batch.

use candle_core::{DType, Device, Result as Candle, Tensor};
use image::{Rgb, RgbImage};
use zoo_nn::loss::cross_entropy;
use zoo_world::Rng;

use super::{Asked, Frame, Objective};
use crate::Result;
use crate::eye::Features;
use crate::head::{Head, pooled, unit};
use crate::scenes::Shown;

/// Width of the space in which views are compared.
const SPACE: usize = 64;
/// What similarities are divided by.
const TEMPERATURE: f64 = 0.2;
/// The least share of a picture's side that a view keeps.
const LEAST: f64 = 0.55;

/// The way into the space.
pub(super) struct Views(Head);

impl Views {
    pub fn new(frame: Frame, seed: u64) -> Candle<Self> {
        let head = Head::new(seed);
        Ok(Self(head.linear("first", 2 * frame.channels, 2 * SPACE)?.linear("second", 2 * SPACE, SPACE)?))
    }
}

impl Objective for Views {
    fn ask(&self, shown: Shown, rng: &mut Rng) -> Asked {
        let views = (0..2).map(|_| view(&shown.image, rng)).collect();
        Asked { views, target: Vec::new() }
    }

    fn loss(&self, features: &Features, _: &Tensor) -> Result<Tensor> {
        let hidden = self.0.apply("first", &pooled(&features.tokens)?)?.relu()?;
        let space = unit(&self.0.apply("second", &hidden)?)?;
        let views = space.dim(0)?;
        let alike = (space.matmul(&space.t()?.contiguous()?)? / TEMPERATURE)?;
        // No view is its own other.
        let own = (Tensor::eye(views, DType::F32, &Device::Cpu)? * 1e4)?;
        let half = views / 2;
        let other: Vec<u32> = (0..views).map(|view| ((view + half) % views) as u32).collect();
        Ok(cross_entropy(&(alike - own)?, &Tensor::from_vec(other, views, &Device::Cpu)?)?)
    }

    fn head(&self) -> &Head {
        &self.0
    }
}

/// A part of a picture at its whole size, brighter or darker, with more or less contrast, maybe mirrored.
fn view(image: &RgbImage, rng: &mut Rng) -> RgbImage {
    let side = f64::from(image.width());
    let cut = side * rng.range(LEAST, 1.0);
    let (left, top) = ((side - cut) * rng.unit(), (side - cut) * rng.unit());
    let (gain, lift, mirrored) = (rng.range(0.7, 1.3), rng.range(-30.0, 30.0), rng.chance(0.5));
    let tint = [0, 1, 2].map(|_| rng.range(0.9, 1.1));
    let scale = cut / side;
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let x = if mirrored { image.width() - 1 - x } else { x };
        let at = |from: f64, step: u32| from + (f64::from(step) + 0.5) * scale - 0.5;
        let levels = between(image, at(left, x), at(top, y));
        let level = |c: usize| {
            let level = (levels[c] - 127.5) * gain * tint[c] + 127.5 + lift;
            level.round().clamp(0.0, 255.0) as u8
        };
        Rgb([level(0), level(1), level(2)])
    })
}

/// The colour between four pixels, weighted by how near they are.
fn between(image: &RgbImage, x: f64, y: f64) -> [f64; 3] {
    let last = |size: u32| f64::from(size - 1);
    let (x, y) = (x.clamp(0.0, last(image.width())), y.clamp(0.0, last(image.height())));
    let (left, top) = (x.floor(), y.floor());
    let mut out = [0.0; 3];
    for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let weight = (1.0 - (x - left - dx).abs()) * (1.0 - (y - top - dy).abs());
        let at = |from: f64, size: u32| from.min(last(size)) as u32;
        let pixel = image.get_pixel(at(left + dx, image.width()), at(top + dy, image.height()));
        (0..3).for_each(|c| out[c] += weight * f64::from(pixel[c]));
    }
    out
}
