//! Elementwise activations, written without branches and calls so that loops over them are vectorised.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LOG2_E, SQRT_2};

use rayon::prelude::*;

use crate::arithmetic::{Apart, Arithmetic};
use crate::element::Element;
use crate::lanes::{self, LANES, Lanes, Work};
use crate::out::{Slot, filled};

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
    pub fn of(self, x: f32) -> f32 {
        self.at::<Apart>(x)
    }

    #[inline(always)]
    pub(crate) fn at<A: Arithmetic>(self, x: f32) -> f32 {
        match self {
            Self::GeluErf => 0.5 * x * (1.0 + erf::<A>(x * FRAC_1_SQRT_2)),
            Self::GeluTanh => {
                // 0.5 (1 + tanh u) = σ(2u), u = √(2/π) (x + 0.044715 x³)
                let u = FRAC_2_SQRT_PI / SQRT_2 * x * A::mul_add(0.044_715 * x, x, 1.0);
                x / (1.0 + exp::<A>(-2.0 * u))
            }
            Self::QuickGelu => x / (1.0 + exp::<A>(-1.702 * x)),
            Self::Silu => x / (1.0 + exp::<A>(-x)),
        }
    }

    /// Writes its value at each of `x` to `out`, on the threads of rayon, and returns it. The same bits on all machines
    /// that fuse multiplying and adding.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn map<'o, T: Element>(self, x: &[T], out: &'o mut [impl Slot<T>]) -> &'o mut [T] {
        assert_eq!(x.len(), out.len(), "x and out");
        out.par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK))
            .for_each(|(out, x)| lanes::run(Map { activation: self, x, out }));
        // SAFETY: the values of all tasks are all values.
        unsafe { filled(out) }
    }

    /// Replaces every value.
    #[inline(always)]
    pub(crate) fn apply<A: Arithmetic>(self, values: &mut [f32]) {
        // One loop each, or the choice would stand inside the loop.
        match self {
            Self::GeluErf => values.iter_mut().for_each(|x| *x = Self::GeluErf.at::<A>(*x)),
            Self::GeluTanh => values.iter_mut().for_each(|x| *x = Self::GeluTanh.at::<A>(*x)),
            Self::QuickGelu => values.iter_mut().for_each(|x| *x = Self::QuickGelu.at::<A>(*x)),
            Self::Silu => values.iter_mut().for_each(|x| *x = Self::Silu.at::<A>(*x)),
        }
    }
}

/// Some values.
struct Map<'a, T, P> {
    activation: Activation,
    x: &'a [T],
    out: &'a mut [P],
}

impl<T: Element, P: Slot<T>> Work for Map<'_, T, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        const TURN: usize = 4 * LANES;
        for (out, x) in self.out.chunks_mut(TURN).zip(self.x.chunks(TURN)) {
            let mut values = [0.0; TURN];
            values.iter_mut().zip(x).for_each(|(value, x)| *value = x.widen());
            self.activation.apply::<L::Arithmetic>(&mut values);
            out.iter_mut().zip(&values).for_each(|(out, &value)| out.put(T::round(value)));
        }
    }
}

/// The error function to a relative 1e-6, as a rational function (the one of Eigen and XLA).
#[inline(always)]
pub(crate) fn erf<A: Arithmetic>(x: f32) -> f32 {
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
    let quotient = x * horner::<A, _>(&P, square) / horner::<A, _>(&Q, square);
    if x.abs() >= SATURATED { 1f32.copysign(x) } else { quotient }
}

/// The exponential to a relative 3e-7: `2ⁿ eʳ` with `|r| ≤ ln 2 / 2` (Cody and Waite), `eʳ` by its Taylor series.
/// Infinite where `f32` ends; never below its least normal number.
#[inline(always)]
pub(crate) fn exp<A: Arithmetic>(x: f32) -> f32 {
    // Adding and taking it away rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const SERIES: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let inside = x.clamp(-87.0, 88.0);
    let shifted = A::mul_add(inside, LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = A::mul_add(n, -LN_2_LOW, A::mul_add(n, -LN_2_HIGH, inside));
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let value = power * horner::<A, _>(&SERIES, r);
    if x > 88.0 { f32::INFINITY } else { value }
}

/// The polynomial with these coefficients, highest power first.
#[inline(always)]
fn horner<A: Arithmetic, const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    let mut sum = 0.0;
    for c in coefficients {
        sum = A::mul_add(sum, x, *c);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Fused;

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
        relatively_exact::<Apart>();
        relatively_exact::<Fused>();
    }

    fn relatively_exact<A: Arithmetic>() {
        assert!((erf_f64(1.0) - 0.842_700_792_949_714_9).abs() < 1e-15);
        for i in 1..=60_000 {
            let x = i as f32 * 1e-4;
            for x in [x, -x, x * 1e-5] {
                let error = (f64::from(erf::<A>(x)) / erf_f64(f64::from(x)) - 1.0).abs();
                assert!(error <= 1e-6, "erf({x}): off by {error:e}");
            }
        }
        for i in -86_000..=87_900 {
            let x = i as f32 * 1e-3;
            let error = (f64::from(exp::<A>(x)) / f64::from(x).exp() - 1.0).abs();
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
