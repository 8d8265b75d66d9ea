//! From linear light to the bytes of a picture, and what a camera adds on the way.

use std::sync::LazyLock;

use crate::maths::V3;
use crate::rng::hashed;
use crate::scene::Sensor;

const STEPS: usize = 4095;

/// sRGB's curve, in levels of 8 bits, for light in steps of 1/4095.
static CURVE: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let level = |step: usize| {
        let x = step as f64 / STEPS as f64;
        let y = if x <= 0.003_130_8 { 12.92 * x } else { 1.055 * libm::pow(x, 1.0 / 2.4) - 0.055 };
        (255.0 * y) as f32
    };
    (0..=STEPS).map(level).collect()
});

/// Light as a camera answers to it: 0 to 255, not rounded.
fn level(light: f64) -> f32 {
    let step = (light.clamp(0.0, 1.0) * STEPS as f64 + 0.5) as usize;
    CURVE[step.min(STEPS)]
}

/// sRGB levels of one colour.
pub(crate) fn encoded(light: V3) -> [f32; 3] {
    [level(light.0), level(light.1), level(light.2)]
}

/// The finished picture, `[height, width, 3]`, from levels that are not rounded.
pub(crate) fn develop(levels: &[[f32; 3]], (width, height): (usize, usize), sensor: &Sensor) -> Vec<u8> {
    let blurred;
    let levels = if sensor.blur > 0.0 {
        blurred = blur(levels, (width, height), sensor.blur as f32);
        &blurred
    } else {
        levels
    };
    let mut out = Vec::with_capacity(levels.len() * 3);
    let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
    let (noise, vignette) = (sensor.noise as f32, sensor.vignette as f32);
    for y in 0..height {
        for x in 0..width {
            let (dx, dy) = ((x as f32 + 0.5 - cx) / cx, (y as f32 + 0.5 - cy) / cy);
            let shade = 1.0 - vignette * 0.5 * (dx * dx + dy * dy);
            for (channel, value) in levels[y * width + x].into_iter().enumerate() {
                let mut value = value * shade;
                if noise > 0.0 {
                    value += noise * normal(hashed(x as u32, y as u32, sensor.seed ^ (channel as u32) << 30));
                }
                out.push((value + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
    }
    out
}

/// Nearly normal, of variance 1: the sum of four bytes.
fn normal(hash: u32) -> f32 {
    let sum: u32 = hash.to_le_bytes().iter().map(|b| u32::from(*b)).sum();
    (sum as f32 - 510.0) / 147.8
}

fn blur(levels: &[[f32; 3]], (width, height): (usize, usize), weight: f32) -> Vec<[f32; 3]> {
    let side = weight / 9.0 * 2.0;
    let total = 1.0 + 2.0 * side;
    let pass = |from: &[[f32; 3]], at: usize, before: usize, after: usize| {
        let mut out = [0.0; 3];
        for (c, out) in out.iter_mut().enumerate() {
            *out = (from[at][c] + side * (from[before][c] + from[after][c])) / total;
        }
        out
    };
    let mut rows = Vec::with_capacity(levels.len());
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            rows.push(pass(levels, at, at - usize::from(x > 0), at + usize::from(x + 1 < width)));
        }
    }
    let mut out = Vec::with_capacity(levels.len());
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            let (up, down) =
                (if y > 0 { at - width } else { at }, if y + 1 < height { at + width } else { at });
            out.push(pass(&rows, at, up, down));
        }
    }
    out
}
