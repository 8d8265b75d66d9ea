//! Activations of numbers that are rounded to bf16 afterwards, in AVX-512: a third of the instructions of exact ones.
//!
//! Each of them is `x σ(v)`, an input and its gate, with `v = x p(x²)`: for the tanh GELU, the quick GELU and SiLU by
//! definition, for the exact GELU because the log-odds of `Φ` are nearly such a polynomial. The error is at most 1.5
//! · 10⁻⁴ of the value, and 5 · 10⁻⁴ of the greater of the value and 1/64 for the exact GELU; rounding to bf16 makes
//! up to 2 · 10⁻³.

use std::arch::x86_64::*;
use std::f32::consts::{FRAC_2_SQRT_PI, LOG2_E, SQRT_2};

use crate::activation::Activation;
use crate::arithmetic::{Arithmetic, Fused};
use crate::element::Element;
use crate::finish::Finish;
use crate::lanes::Lanes;

/// `-p` in powers of two, lowest first: minimax in the value's error over all `x`.
const GELU_ERF: [f32; 3] = [-2.300_076_8, -0.107_561_14, 1.117_040_3e-3];
const GELU_TANH: [f32; 2] = [-TANH, -0.044_715 * TANH];
const TANH: f32 = SQRT_2 * FRAC_2_SQRT_PI * LOG2_E;
const QUICK_GELU: [f32; 1] = [-1.702 * LOG2_E];
const SILU: [f32; 1] = [-LOG2_E];

/// Beyond this square every GELU is zero or its input, and the polynomials need not hold.
const FAR: f32 = 36.0;

/// `2ʳ` on 0..1 to a relative 7.5e-5, minimax; lowest power first.
const POWERS: [f32; 4] = [0.999_925_24, 0.695_832_85, 0.226_069_39, 0.078_023_01];

/// What is rounded to bf16, at [`Isa::Avx512Bf16`](crate::Isa::Avx512Bf16).
#[derive(Clone, Copy)]
pub(crate) struct Halves;

impl Arithmetic for Halves {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        Fused::mul_add(a, b, c)
    }
}

impl Finish for Halves {
    #[inline(always)]
    unsafe fn activate(activation: Activation, values: &mut [f32]) {
        // SAFETY: the caller's.
        unsafe {
            match activation {
                Activation::GeluErf => gate(GELU_ERF, values),
                Activation::GeluTanh => gate(GELU_TANH, values),
                Activation::QuickGelu => gate(QUICK_GELU, values),
                Activation::Silu => gate(SILU, values),
            }
        }
    }

    #[inline(always)]
    unsafe fn add_scaled<T: Element>(shortcut: &[T], scale: &[f32], sums: &mut [f32]) {
        let length = shortcut.len();
        let (sums, rest) = sums[..length].as_chunks_mut::<16>();
        let (shortcut, shortcut_rest) = shortcut.as_chunks::<16>();
        let (scale, scale_rest) = scale[..length].as_chunks::<16>();
        for ((sums, scale), shortcut) in sums.iter_mut().zip(scale).zip(shortcut) {
            // SAFETY: the caller's; 16 numbers are a vector.
            unsafe {
                let x: __m512 = Lanes::load(shortcut.as_ptr());
                let (scale, sum) = (_mm512_loadu_ps(scale.as_ptr()), _mm512_loadu_ps(sums.as_ptr()));
                _mm512_storeu_ps(sums.as_mut_ptr(), _mm512_fmadd_ps(scale, sum, x));
            }
        }
        for ((sum, scale), x) in rest.iter_mut().zip(scale_rest).zip(shortcut_rest) {
            *sum = Self::mul_add(*scale, *sum, x.widen());
        }
    }
}

/// # Safety
/// That of [`Finish::activate`] of [`Halves`].
#[inline(always)]
unsafe fn gate<const TERMS: usize>(terms: [f32; TERMS], values: &mut [f32]) {
    for values in values.as_chunks_mut::<16>().0 {
        // SAFETY: the caller's; 16 numbers are a vector.
        unsafe {
            let x = _mm512_loadu_ps(values.as_ptr());
            let square = _mm512_min_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(FAR));
            let mut v = _mm512_set1_ps(terms[TERMS - 1]);
            for term in terms[..TERMS - 1].iter().rev() {
                v = _mm512_fmadd_ps(v, square, _mm512_set1_ps(*term));
            }
            let v = _mm512_mul_ps(v, x);
            // The fraction above the next lower integer, to which the exponent is rounded below; 0 for infinities.
            let r = _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(v);
            let mut power = _mm512_set1_ps(POWERS[3]);
            for c in [POWERS[2], POWERS[1], POWERS[0]] {
                power = _mm512_fmadd_ps(power, r, _mm512_set1_ps(c));
            }
            let power = _mm512_scalef_ps(power, v);
            let gate = _mm512_rcp14_ps(_mm512_add_ps(power, _mm512_set1_ps(1.0)));
            _mm512_storeu_ps(values.as_mut_ptr(), _mm512_mul_ps(x, gate));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Isa;
    use crate::levels::levels;

    /// The activation of each number, where the machine can.
    fn activated(activation: Activation, x: &[f32]) -> Option<Vec<f32>> {
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vnni,avx512bf16")]
        unsafe fn run(activation: Activation, values: &mut [f32]) {
            // SAFETY: the instructions are enabled.
            unsafe { Halves::activate(activation, values) }
        }
        let mut values = x.to_vec();
        values.resize(x.len().next_multiple_of(16), 0.0);
        if levels().all(|level| level < Isa::Avx512Bf16) {
            return None;
        }
        // SAFETY: just asked.
        unsafe { run(activation, &mut values) };
        values.truncate(x.len());
        Some(values)
    }

    #[test]
    fn errors_are_far_below_those_of_bf16() {
        let x: Vec<f32> = (-120_000..=120_000).map(|i| i as f32 * 1e-4).collect();
        for activation in Activation::ALL {
            let Some(found) = activated(activation, &x) else { return };
            let (relative, least) = match activation {
                Activation::GeluErf => (5e-4, 1.0 / 64.0),
                // Beyond six it is nothing or its input.
                Activation::GeluTanh => (1.5e-4, 1e-6),
                _ => (1.5e-4, 0.0),
            };
            for (&x, found) in x.iter().zip(found) {
                let exact = activation.of(x);
                let bound = relative * exact.abs().max(least);
                assert!((found - exact).abs() <= bound, "{activation:?}({x}) = {exact}, not {found}");
            }
        }
    }

    #[test]
    fn extremes() {
        let x = [-1e4, 1e4, 0.0, f32::NAN, f32::MIN, f32::MAX];
        for activation in Activation::ALL {
            let Some(found) = activated(activation, &x) else { return };
            assert_eq!(found[..3], [0.0, 1e4, 0.0], "{activation:?}");
            assert!(found[3].is_nan(), "{activation:?}");
            assert_eq!(found[4..], [0.0, f32::MAX], "{activation:?}");
        }
    }
}
