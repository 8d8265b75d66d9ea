//! Weights of a separable resampling along one axis, as Pillow computes them.

use zoo_core::Filter;

/// Fraction bits of a weight: 32 minus 8 of a sample minus 2 for the overshoot of negative lobes.
pub(super) const PRECISION: u32 = 32 - 8 - 2;

/// Which input samples make each output sample, and with what weights.
pub(super) struct Taps {
    first: Vec<usize>,
    counts: Vec<usize>,
    weights: Vec<i32>,
    stride: usize,
}

impl Taps {
    /// Taps for `input` samples to `output` samples. Both must be positive.
    ///
    /// The arithmetic is double precision in the order of Pillow's `precompute_coeffs`, so that every weight
    /// rounds to the same integer.
    pub(super) fn new(input: usize, output: usize, filter: Filter) -> Self {
        let scale = input as f64 / output as f64;
        let filter_scale = scale.max(1.0);
        let support = radius(filter) * filter_scale;
        let stride = support.ceil() as usize * 2 + 1;
        let inverse = 1.0 / filter_scale;

        let mut taps = Self {
            first: Vec::with_capacity(output),
            counts: Vec::with_capacity(output),
            weights: vec![0; stride * output],
            stride,
        };
        let mut exact = vec![0.0; stride];
        for (x, row) in taps.weights.chunks_exact_mut(stride).enumerate() {
            let center = (x as f64 + 0.5) * scale;
            // `as` truncates towards zero and maps negatives to 0, like the C cast with its clamp.
            let first = (center - support + 0.5) as usize;
            let last = ((center + support + 0.5) as usize).min(input);
            let exact = &mut exact[..last - first];
            let mut sum = 0.0;
            for (i, weight) in exact.iter_mut().enumerate() {
                *weight = kernel(filter, ((i + first) as f64 - center + 0.5) * inverse);
                sum += *weight;
            }
            for (fixed, weight) in row.iter_mut().zip(exact.iter()) {
                *fixed = to_fixed(if sum == 0.0 { *weight } else { *weight / sum });
            }
            taps.first.push(first);
            taps.counts.push(last - first);
        }
        taps
    }

    /// Number of output samples.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// First input sample of output `x`, and the weights from there on.
    #[inline(always)]
    pub(super) fn at(&self, x: usize) -> (usize, &[i32]) {
        let start = x * self.stride;
        (self.first[x], &self.weights[start..start + self.counts[x]])
    }
}

/// Half width of the kernel at scale 1.
fn radius(filter: Filter) -> f64 {
    match filter {
        Filter::Bicubic => 2.0,
        Filter::Bilinear => 1.0,
    }
}

fn kernel(filter: Filter, x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match filter {
        Filter::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        Filter::Bilinear if x < 1.0 => 1.0 - x,
        Filter::Bicubic | Filter::Bilinear => 0.0,
    }
}

/// Round half away from zero, by truncation as in C.
fn to_fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}
