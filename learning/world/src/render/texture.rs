//! What a surface looks like at a place.

use crate::maths::V3;
use crate::rng::hashed;
use crate::scene::{Texture, Weave};

/// Smooth noise between 0 and 1, one value for each whole place.
fn noise(x: f64, y: f64, seed: u32) -> f64 {
    let (left, top) = (x.floor(), y.floor());
    let (u, v) = (x - left, y - top);
    let (u, v) = (u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v));
    // Negative places wrap around, which hashes do not mind.
    let corner = |dx: i32, dy: i32| {
        f64::from(
            hashed((left as i32).wrapping_add(dx) as u32, (top as i32).wrapping_add(dy) as u32, seed) >> 8,
        ) / f64::from(1u32 << 24)
    };
    let above = corner(0, 0) * (1.0 - u) + corner(1, 0) * u;
    let below = corner(0, 1) * (1.0 - u) + corner(1, 1) * u;
    above * (1.0 - v) + below * v
}

fn layered(x: f64, y: f64, seed: u32) -> f64 {
    0.55 * noise(x, y, seed)
        + 0.3 * noise(x * 2.1, y * 2.1, seed ^ 1)
        + 0.15 * noise(x * 4.3, y * 4.3, seed ^ 2)
}

/// Where a wave that repeats with length 1 is between 0 and 1 and back.
fn wave(at: f64) -> f64 {
    let part = at - at.floor();
    1.0 - (2.0 * part - 1.0).abs()
}

/// A texture whose direction is worked out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    texture: &'a Texture,
    sin: f64,
    cos: f64,
}

impl<'a> Look<'a> {
    pub fn new(texture: &'a Texture) -> Self {
        Self { texture, sin: libm::sin(texture.turn), cos: libm::cos(texture.turn) }
    }

    /// The colour that it has from far away.
    pub fn mean(&self) -> V3 {
        let [a, b] = self.texture.colours;
        match self.texture.weave {
            Weave::Plain => a,
            Weave::Planks | Weave::Bricks | Weave::Grid => a * 0.86 + b * 0.14,
            _ => a.mix(b, 0.5),
        }
    }

    pub fn at(&self, x: f64, y: f64) -> (V3, u8) {
        let Texture { weave, scale, colours: [a, b], seed, .. } = *self.texture;
        let (u, v) = ((x * self.cos + y * self.sin) / scale, (y * self.cos - x * self.sin) / scale);
        let cell = |row: f64, column: f64, salt: u32| {
            f64::from(hashed(row as i32 as u32, column as i32 as u32, seed ^ salt) >> 8)
                / f64::from(1u32 << 24)
        };
        match weave {
            Weave::Plain => (a, 0),
            Weave::Gradient => (a.mix(b, (0.5 + 0.5 * u).clamp(0.0, 1.0)), 0),
            Weave::Checker => {
                let odd = (u.floor() + v.floor()) as i64 & 1 != 0;
                (if odd { b } else { a } * (0.95 + 0.1 * noise(u * 3.0, v * 3.0, seed)), u8::from(odd))
            }
            Weave::Planks => {
                let row = (v * 2.0).floor();
                let along = u * 0.5 + cell(row, 0.0, 3);
                let joint = v * 2.0 - row < 0.05 || along - along.floor() < 0.012;
                let board = 0.86 + 0.28 * cell(row, along.floor(), 5);
                let grain = 0.9 + 0.2 * layered(u * 0.9, v * 9.0, seed);
                (if joint { b } else { a * (board * grain) }, u8::from(joint))
            }
            Weave::Bricks => {
                let row = (v * 2.0).floor();
                let along = u + 0.5 * (row / 2.0 - (row / 2.0).floor()) * 2.0;
                let joint = v * 2.0 - row < 0.12 || along - along.floor() < 0.06;
                let stone = 0.84 + 0.3 * cell(row, along.floor(), 7) + 0.08 * noise(u * 12.0, v * 12.0, seed);
                (if joint { b } else { a * stone }, u8::from(joint))
            }
            Weave::Speckle => (a.mix(b, layered(u * 3.0, v * 3.0, seed)), 0),
            Weave::Stripes => {
                let odd = u - u.floor() < 0.5;
                (if odd { a } else { b }, u8::from(odd))
            }
            Weave::Marble => {
                let vein = wave(u * 0.8 + 1.6 * layered(u, v, seed));
                (a.mix(b, vein * vein * vein * vein), 0)
            }
            Weave::Grid => {
                let joint = u - u.floor() < 0.05 || v - v.floor() < 0.05;
                let tile = 0.95 + 0.1 * cell(u.floor(), v.floor(), 11);
                (if joint { b } else { a * tile }, u8::from(joint))
            }
        }
    }
}
