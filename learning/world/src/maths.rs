//! Points and turns in space. Only operations that IEEE 754 rounds exactly, and sines of `libm`: the same bits everywhere.

use std::ops::{Add, Mul, Neg, Sub};

use serde::{Deserialize, Serialize};

/// A point or a direction, in metres or without unit. Written as `[x, y, z]`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct V3(pub f64, pub f64, pub f64);

impl V3 {
    /// The inner product.
    pub fn dot(self, o: Self) -> f64 {
        self.0 * o.0 + self.1 * o.1 + self.2 * o.2
    }

    /// The vector product.
    pub fn cross(self, o: Self) -> Self {
        Self(self.1 * o.2 - self.2 * o.1, self.2 * o.0 - self.0 * o.2, self.0 * o.1 - self.1 * o.0)
    }

    /// Its length.
    pub fn norm(self) -> f64 {
        self.dot(self).sqrt()
    }

    /// The direction of length 1; zero stays zero.
    pub fn unit(self) -> Self {
        let norm = self.norm();
        if norm > 0.0 { self * (1.0 / norm) } else { self }
    }

    /// How far it is to `o`.
    pub fn distance(self, o: Self) -> f64 {
        (self - o).norm()
    }

    /// Product, part by part.
    pub fn times(self, o: Self) -> Self {
        Self(self.0 * o.0, self.1 * o.1, self.2 * o.2)
    }

    /// A little of `o`: `share` 0 is this, 1 is `o`.
    pub fn mix(self, o: Self, share: f64) -> Self {
        self * (1.0 - share) + o * share
    }

    /// The direction that this one leaves in, mirrored at a surface with normal `n`.
    pub fn mirrored(self, n: Self) -> Self {
        self - n * (2.0 * self.dot(n))
    }
}

impl Add for V3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0, self.1 + o.1, self.2 + o.2)
    }
}

impl Sub for V3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self(self.0 - o.0, self.1 - o.1, self.2 - o.2)
    }
}

impl Mul<f64> for V3 {
    type Output = Self;
    fn mul(self, k: f64) -> Self {
        Self(self.0 * k, self.1 * k, self.2 * k)
    }
}

impl Neg for V3 {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

/// A turn: its rows are the axes of the new frame, so that `turn.apply(v)` gives the coordinates of `v` in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn(pub [V3; 3]);

impl Turn {
    /// Into the frame of something that is turned by `yaw` (radians) about the upright axis and then, where `lying`,
    /// tipped over so that its own axis is horizontal.
    pub fn of(yaw: f64, lying: bool) -> Self {
        let (sin, cos) = (libm::sin(yaw), libm::cos(yaw));
        let (x, y, z) = (V3(cos, sin, 0.0), V3(-sin, cos, 0.0), V3(0.0, 0.0, 1.0));
        if lying { Self([-z, y, x]) } else { Self([x, y, z]) }
    }

    /// From the outer frame into this one.
    pub fn apply(&self, v: V3) -> V3 {
        V3(self.0[0].dot(v), self.0[1].dot(v), self.0[2].dot(v))
    }

    /// From this frame into the outer one.
    pub fn back(&self, v: V3) -> V3 {
        self.0[0] * v.0 + self.0[1] * v.1 + self.0[2] * v.2
    }
}

/// To `digits` decimals: what is drawn is written shortly, and read back as the same number.
pub fn rounded(value: f64, digits: i32) -> f64 {
    let scale = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6][usize::try_from(digits).unwrap_or(0).min(6)];
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_there_and_back_and_keep_lengths() {
        let v = V3(0.3, -1.2, 2.0);
        for (yaw, lying) in [(0.0, false), (0.7, false), (2.9, true), (-1.1, true)] {
            let turn = Turn::of(yaw, lying);
            assert!((turn.back(turn.apply(v)) - v).norm() < 1e-12);
            assert!((turn.apply(v).norm() - v.norm()).abs() < 1e-12);
            // Right-handed, or a mirror image would be drawn.
            assert!((turn.0[0].cross(turn.0[1]) - turn.0[2]).norm() < 1e-12);
        }
    }
}
