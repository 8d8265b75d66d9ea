//! Slopes of activations.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

use rayon::prelude::*;

use crate::activation::{Activation, erf, exp};
use crate::arithmetic::Arithmetic;
use crate::element::Element;
use crate::lanes::{self, LANES, Lanes, Work};
use crate::out::{Slot, filled};

/// Values that one task computes.
const CHUNK: usize = 16 << 10;

impl Activation {
    /// Its derivative at `x`.
    #[inline(always)]
    pub(crate) fn slope_at<A: Arithmetic>(self, x: f32) -> f32 {
        let sigmoid = |x: f32| 1.0 / (1.0 + exp::<A>(-x));
        match self {
            Self::GeluErf => {
                // Φ(x) + x φ(x), φ(x) = e^{-x²/2} / √(2π)
                let density = 0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * exp::<A>(-0.5 * x * x);
                let beyond = x * density;
                // What x² overflows to has no density, and the infinite times nothing is no number.
                let beyond = if x.abs() > 1e4 { 0.0 } else { beyond };
                0.5 * (1.0 + erf::<A>(x * FRAC_1_SQRT_2)) + beyond
            }
            Self::GeluTanh => {
                // x σ(2u), u = √(2/π) (x + 0.044715 x³)
                const K: f32 = FRAC_2_SQRT_PI / SQRT_2;
                let inside = x.clamp(-1e4, 1e4);
                let square = inside * inside;
                let share = sigmoid(2.0 * K * inside * A::mul_add(0.044_715, square, 1.0));
                let slope = 2.0 * K * A::mul_add(3.0 * 0.044_715, square, 1.0);
                A::mul_add(inside * share * (1.0 - share), slope, share)
            }
            Self::QuickGelu => {
                let inside = x.clamp(-1e4, 1e4);
                let share = sigmoid(1.702 * inside);
                A::mul_add(1.702 * inside * share, 1.0 - share, share)
            }
            Self::Silu => {
                let inside = x.clamp(-1e4, 1e4);
                let share = sigmoid(inside);
                A::mul_add(inside * share, 1.0 - share, share)
            }
        }
    }

    /// Writes the gradients of `x` for those of its activated values to `out`, and returns it. Runs on the threads of
    /// rayon.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn gradient<'o, T: Element>(
        self,
        x: &[T],
        gradient: &[T],
        out: &'o mut [impl Slot<T>],
    ) -> &'o mut [T] {
        assert!(x.len() == out.len() && gradient.len() == out.len(), "x, gradient and out");
        let parts = x.par_chunks(CHUNK).zip(gradient.par_chunks(CHUNK));
        out.par_chunks_mut(CHUNK)
            .zip(parts)
            .for_each(|(out, (x, gradient))| lanes::run(Slope { activation: self, x, gradient, out }));
        // SAFETY: the values of all tasks are all values.
        unsafe { filled(out) }
    }

    /// Replaces every value by the slope there.
    #[inline(always)]
    pub(super) fn slopes<A: Arithmetic>(self, values: &mut [f32]) {
        // One loop each, or the choice would stand inside the loop.
        match self {
            Self::GeluErf => values.iter_mut().for_each(|x| *x = Self::GeluErf.slope_at::<A>(*x)),
            Self::GeluTanh => values.iter_mut().for_each(|x| *x = Self::GeluTanh.slope_at::<A>(*x)),
            Self::QuickGelu => values.iter_mut().for_each(|x| *x = Self::QuickGelu.slope_at::<A>(*x)),
            Self::Silu => values.iter_mut().for_each(|x| *x = Self::Silu.slope_at::<A>(*x)),
        }
    }
}

struct Slope<'a, T, P> {
    activation: Activation,
    x: &'a [T],
    gradient: &'a [T],
    out: &'a mut [P],
}

impl<T: Element, P: Slot<T>> Work for Slope<'_, T, P> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        const TURN: usize = 4 * LANES;
        let parts = self.x.chunks(TURN).zip(self.gradient.chunks(TURN));
        for (out, (x, gradient)) in self.out.chunks_mut(TURN).zip(parts) {
            let mut values = [0.0; TURN];
            values.iter_mut().zip(x).for_each(|(value, x)| *value = x.widen());
            self.activation.slopes::<L::Arithmetic>(&mut values);
            for ((out, &value), gradient) in out.iter_mut().zip(&values).zip(gradient) {
                out.put(T::round(value * gradient.widen()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::{Apart, Fused};

    /// Against differences of the values in f64.
    #[test]
    fn slopes_are_those_of_the_values() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let value = |activation, x: f64| match activation {
            Activation::GeluErf => 0.5 * x * (1.0 + erf_f64(x / std::f64::consts::SQRT_2)),
            Activation::GeluTanh => {
                x * sigmoid(2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3)))
            }
            Activation::QuickGelu => x * sigmoid(1.702 * x),
            Activation::Silu => x * sigmoid(x),
        };
        for activation in Activation::ALL {
            for i in -800..=800 {
                let x = f64::from(i) * 0.01;
                let step = 1e-4;
                let expected = (value(activation, x + step) - value(activation, x - step)) / (2.0 * step);
                for got in [activation.slope_at::<Apart>(x as f32), activation.slope_at::<Fused>(x as f32)] {
                    assert!(
                        (f64::from(got) - expected).abs() < 2e-6,
                        "{activation:?}({x}): {got}, {expected}"
                    );
                }
            }
            for (x, expected) in [(-1e30, 0.0), (-1e5, 0.0), (1e5, 1.0), (1e30, 1.0)] {
                assert_eq!(activation.slope_at::<Fused>(x), expected, "{activation:?}({x})");
            }
        }
    }

    fn erf_f64(x: f64) -> f64 {
        if x.abs() > 6.0 {
            return x.signum();
        }
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
    }
}
