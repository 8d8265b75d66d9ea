//! The search for scales that GGML's reference makes when it quantises (`make_qx_quants`, `make_qkx2_quants` of
//! ggml-quants.c): try a few, keep the one of the least weighted squared error.

use crate::lanes::folded;

/// A range narrower than this is none.
const TINY: f32 = 1e-15;

/// To the nearest integer, ties to even, for values below 2²²; without calls, so that loops over it are vectorised.
#[inline(always)]
pub(super) fn nearest(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    (x + ROUND) - ROUND
}

/// The scale `s` for codes `-half..half` with `x ≈ s · code`, weighted by `x²`.
#[inline(always)]
pub(super) fn symmetric<const N: usize>(x: &[f32; N], half: f32) -> f32 {
    let extreme = x.iter().fold(0f32, |most, &x| if x.abs() > most.abs() { x } else { most });
    if extreme.abs() < TINY {
        return 0.0;
    }
    let (with_x, with_code) = fit(x, half, -half / extreme);
    let mut scale = if with_code > 0.0 { with_x / with_code } else { 0.0 };
    let mut best = scale * with_x;
    for step in (-9..=9).filter(|&step| step != 0) {
        let (with_x, with_code) = fit(x, half, -(half + 0.1 * step as f32) / extreme);
        if with_code > 0.0 && with_x * with_x > best * with_code {
            scale = with_x / with_code;
            best = scale * with_x;
        }
    }
    scale
}

/// For codes by this inverse scale: `Σ w x c` and `Σ w c²`.
#[inline(always)]
fn fit<const N: usize>(x: &[f32; N], half: f32, inverse: f32) -> (f32, f32) {
    let (mut with_x, mut with_code) = ([0f32; N], [0f32; N]);
    for i in 0..N {
        let code = nearest(inverse * x[i]).clamp(-half, half - 1.0);
        let weighted = x[i] * x[i] * code;
        with_x[i] = weighted * x[i];
        with_code[i] = weighted * code;
    }
    (folded(with_x), folded(with_code))
}

/// The scale `s` and the minimum `m ≥ 0` for codes `0..=most` with `x ≈ s · code - m`, weighted by `weights`.
#[inline(always)]
pub(super) fn with_minimum<const N: usize>(x: &[f32; N], weights: &[f32; N], most: f32) -> (f32, f32) {
    let low = x.iter().copied().fold(f32::INFINITY, f32::min).min(0.0);
    let high = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if high <= low {
        return (0.0, -low);
    }
    let mut products = [0f32; N];
    for i in 0..N {
        products[i] = weights[i] * x[i];
    }
    let (sum_w, sum_x) = (folded(*weights), folded(products));
    let range = high - low;
    let mut found = (range / most, low);
    let mut least = error(x, weights, &codes(x, low, most / range, most), found);
    for step in 0..=20 {
        let codes = codes(x, low, (most - 1.0 + 0.1 * step as f32) / range, most);
        let (mut l, mut l2, mut xl) = ([0f32; N], [0f32; N], [0f32; N]);
        for i in 0..N {
            l[i] = weights[i] * codes[i];
            l2[i] = l[i] * codes[i];
            xl[i] = l[i] * x[i];
        }
        let (sum_l, sum_l2, sum_xl) = (folded(l), folded(l2), folded(xl));
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        if determinant <= 0.0 {
            continue;
        }
        let mut scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
        let mut minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
        if minimum > 0.0 {
            (scale, minimum) = (sum_xl / sum_l2, 0.0);
        }
        let candidate = (scale, minimum);
        let off = error(x, weights, &codes, candidate);
        if off < least {
            (least, found) = (off, candidate);
        }
    }
    (found.0, -found.1)
}

#[inline(always)]
fn codes<const N: usize>(x: &[f32; N], low: f32, inverse: f32, most: f32) -> [f32; N] {
    let mut codes = [0f32; N];
    for i in 0..N {
        codes[i] = nearest(inverse * (x[i] - low)).clamp(0.0, most);
    }
    codes
}

/// The weighted squared error of `scale · code + low`.
#[inline(always)]
fn error<const N: usize>(
    x: &[f32; N],
    weights: &[f32; N],
    codes: &[f32; N],
    (scale, low): (f32, f32),
) -> f32 {
    let mut errors = [0f32; N];
    for i in 0..N {
        let off = scale * codes[i] + low - x[i];
        errors[i] = weights[i] * off * off;
    }
    folded(errors)
}
