//! How much of an image is left at a time step, and the noise that takes the place of the rest.

use candle_core::{Device, Tensor};
use zoo_core::{Grid, Result};

use crate::config::LATENTS;

/// Steps that the model was trained with.
pub(crate) const STEPS: usize = 1000;
/// What variances begin and end with: their square roots grow evenly.
const VARIANCES: [f64; 2] = [0.000_85, 0.012];
/// Of the noise that is taken where nobody gives one.
const SEED: u64 = 211_210_752;

/// What latents and noise are multiplied by at a step.
pub(crate) fn factors(step: usize) -> (f64, f64) {
    let [first, last] = VARIANCES.map(f64::sqrt);
    let variance = |i: usize| (first + (last - first) * i as f64 / (STEPS - 1) as f64).powi(2);
    let left: f64 = (0..=step.min(STEPS - 1)).map(|i| 1.0 - variance(i)).product();
    (left.sqrt(), (1.0 - left).sqrt())
}

/// Normal numbers `[1, 4, h, w]`, always the same.
pub(crate) fn fixed(grid: Grid, device: &Device) -> Result<Tensor> {
    let count = LATENTS * grid.cells();
    let numbers: Vec<f32> = (0..count as u64).map(normal).collect();
    Ok(Tensor::from_vec(numbers, (1, LATENTS, grid.h, grid.w), device)?)
}

/// Of the normal distribution, by its place (Box and Muller, 1958).
fn normal(place: u64) -> f32 {
    // Never 0, whose logarithm is none.
    let unit = |i: u64| ((mix(SEED.wrapping_add(2 * place + i)) >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
    ((-2.0 * unit(0).ln()).sqrt() * (std::f64::consts::TAU * unit(1)).cos()) as f32
}

/// The number at a place of SplitMix64's stream from 0 (Steele, Lea and Flood, 2014).
fn mix(place: u64) -> u64 {
    let mut z = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalogue's figures for the step of Cambrian-1.
    #[test]
    fn factors_are_those_of_the_schedule() {
        let (kept, added) = factors(250);
        assert!((kept - 0.820_848_5).abs() < 1e-6 && (added - 0.571_146).abs() < 1e-6, "{kept} {added}");
        assert!(factors(0).0 > 0.999 && factors(999).0 < 0.1);
    }

    #[test]
    fn noise_is_normal_and_always_the_same() {
        let draw = || fixed(Grid::square(32), &Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>();
        let numbers = draw().unwrap();
        let count = numbers.len() as f32;
        let mean = numbers.iter().sum::<f32>() / count;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / count;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        assert_eq!(numbers, draw().unwrap());
    }
}
