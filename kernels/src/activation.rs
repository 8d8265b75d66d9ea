//! Elementwise activations, written without branches and calls so that loops over them are vectorised.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LOG2_E, SQRT_2};

use rayon::prelude::*;

use crate::element::Element;
use crate::isa::Isa;

/// Values that one task computes.
const CHUNK: usize = 16 << 10;

/// An elementwise activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)`, exact.
    GeluErf,
    /// `x Φ(x)` by the tanh approximation.
    GeluTanh,
    /// `x σ(1.702 x)`.
    QuickGelu,
    /// `x σ(x)`.
    Silu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::GeluErf, Self::GeluTanh, Self::QuickGelu, Self::Silu];

    /// Its value at `x`.
    #[inline(always)]
    pub fn of(self, x: f32) -> f32 {
        match self {
            Self::GeluErf => 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                // 0.5 (1 + tanh u) = σ(2u), u = √(2/π) (x + 0.044715 x³)
                let u = FRAC_2_SQRT_PI / SQRT_2 * x * (1.0 + 0.044_715 * x * x);
                x / (1.0 + exp(-2.0 * u))
            }
            Self::QuickGelu => x / (1.0 + exp(-1.702 * x)),
            Self::Silu => x / (1.0 + exp(-x)),
        }
    }

    /// Writes its value at each of `x` to `out`, on the threads of rayon. The same bits on every machine.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn map<T: Element>(self, x: &[T], out: &mut [T]) {
        assert_eq!(x.len(), out.len(), "x and out");
        out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(out, x)| match Isa::detect() {
            // SAFETY: the instructions were found.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Bf16 => unsafe { map_avx512(self, x, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { map_avx2(self, x, out) },
            _ => map(self, x, out),
        });
    }

    /// Replaces every value.
    #[inline(always)]
    pub(crate) fn apply(self, values: &mut [f32]) {
        // One loop each, or the choice would stand inside the loop.
        match self {
            Self::GeluErf => values.iter_mut().for_each(|x| *x = Self::GeluErf.of(*x)),
            Self::GeluTanh => values.iter_mut().for_each(|x| *x = Self::GeluTanh.of(*x)),
            Self::QuickGelu => values.iter_mut().for_each(|x| *x = Self::QuickGelu.of(*x)),
            Self::Silu => values.iter_mut().for_each(|x| *x = Self::Silu.of(*x)),
        }
    }
}

#[target_feature(enable = "avx512f")]
#[cfg(target_arch = "x86_64")]
fn map_avx512<T: Element>(activation: Activation, x: &[T], out: &mut [T]) {
    map(activation, x, out);
}

#[target_feature(enable = "avx2")]
#[cfg(target_arch = "x86_64")]
fn map_avx2<T: Element>(activation: Activation, x: &[T], out: &mut [T]) {
    map(activation, x, out);
}

#[inline(always)]
fn map<T: Element>(activation: Activation, x: &[T], out: &mut [T]) {
    const LANES: usize = 64;
    for (out, x) in out.chunks_mut(LANES).zip(x.chunks(LANES)) {
        let mut values = [0.0; LANES];
        values.iter_mut().zip(x).for_each(|(value, x)| *value = x.widen());
        activation.apply(&mut values);
        out.iter_mut().zip(&values).for_each(|(out, &value)| *out = T::round(value));
    }
}

/// The error function to a relative 1e-6, as a rational function (the one of Eigen and XLA).
#[inline(always)]
fn erf(x: f32) -> f32 {
    const P: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const Q: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    // From here on the error function is one in single precision, and the quotient is not quite.
    const SATURATED: f32 = 3.92;
    let square = x * x;
    let quotient = x * horner(&P, square) / horner(&Q, square);
    if x.abs() >= SATURATED { 1f32.copysign(x) } else { quotient }
}

/// The exponential to a relative 3e-7: `2ⁿ eʳ` with `|r| ≤ ln 2 / 2` (Cody and Waite), `eʳ` by its Taylor series.
/// Infinite where `f32` ends; never below its least normal number.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding and taking it away rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const SERIES: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let inside = x.clamp(-87.0, 88.0);
    let shifted = inside * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = inside - n * LN_2_HIGH - n * LN_2_LOW;
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let value = power * horner(&SERIES, r);
    if x > 88.0 { f32::INFINITY } else { value }
}

/// The polynomial with these coefficients, highest power first.
#[inline(always)]
fn horner<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    let mut sum = 0.0;
    for c in coefficients {
        sum = sum * x + c;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `2/√π e^{-x²} Σ 2ⁿ x^{2n+1} / (2n+1)!!`, all terms of one sign.
    fn erf_f64(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
    }

    #[test]
    fn erf_and_exp_are_relatively_exact() {
        assert!((erf_f64(1.0) - 0.842_700_792_949_714_9).abs() < 1e-15);
        for i in 1..=60_000 {
            let x = i as f32 * 1e-4;
            for x in [x, -x, x * 1e-5] {
                let error = (f64::from(erf(x)) / erf_f64(f64::from(x)) - 1.0).abs();
                assert!(error <= 1e-6, "erf({x}): off by {error:e}");
            }
        }
        for i in -86_000..=87_900 {
            let x = i as f32 * 1e-3;
            let error = (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs();
            assert!(error <= 3e-7, "exp({x}): off by {error:e}");
        }
    }

    #[test]
    fn extremes() {
        for activation in Activation::ALL {
            assert_eq!([-1e4, 0.0, 1e4].map(|x| activation.of(x)), [0.0, 0.0, 1e4], "{activation:?}");
            assert!(activation.of(f32::NAN).is_nan());
        }
    }
}
