//! Weights of a separable resampling along one axis, as Pillow computes them.

use zoo_core::Filter;

use crate::geometry::Axis;

/// Resampling kernels of Pillow: those of encoders' pipelines, and one that other tools use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Cubic convolution with a = -0.5.
    Bicubic,
    /// Triangle.
    Bilinear,
    /// A sine over its argument, windowed by another, with three lobes on each side.
    Lanczos,
}

impl From<Filter> for Kernel {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Bicubic => Self::Bicubic,
            Filter::Bilinear => Self::Bilinear,
        }
    }
}

/// Fraction bits of a weight: 32 minus 8 of a sample minus 2 for the overshoot of negative lobes.
pub(super) const PRECISION: u32 = 32 - 8 - 2;

/// Which samples of the image make each output sample, and with what weights. What falls on the border is summed up:
/// all of it has one colour, so it counts as a single sample.
pub(super) struct Taps {
    first: Vec<usize>,
    counts: Vec<usize>,
    border: Vec<i32>,
    weights: Vec<i32>,
    stride: usize,
}

/// What makes one output sample.
pub(super) struct Tap<'a> {
    /// First sample of the image.
    pub(super) first: usize,
    /// Weights of the samples from there on; none where only the border is seen.
    pub(super) weights: &'a [i32],
    /// Weight of the border.
    pub(super) border: i32,
}

impl Taps {
    /// Taps for the samples of `axis`, border included, to `output` samples. Both must be positive.
    ///
    /// The arithmetic is double precision in the order of Pillow's `precompute_coeffs`, so that every weight
    /// rounds to the same integer.
    pub(super) fn new(axis: &Axis, output: usize, filter: Kernel) -> Self {
        let scale = axis.length / output as f64;
        let filter_scale = scale.max(1.0);
        let support = radius(filter) * filter_scale;
        let stride = support.ceil() as usize * 2 + 1;
        let inverse = 1.0 / filter_scale;
        let image = axis.lead..axis.lead + axis.samples;
        // The part of a sample that is in the frame; 1, but at the ends of reduced images.
        let covered = |i: usize| (i as f64 + 1.0).min(axis.start + axis.length) - (i as f64).max(axis.start);

        let mut taps = Self {
            first: Vec::with_capacity(output),
            counts: Vec::with_capacity(output),
            border: Vec::with_capacity(output),
            weights: vec![0; stride * output],
            stride,
        };
        let mut exact = vec![0.0; stride];
        for (x, row) in taps.weights.chunks_exact_mut(stride).enumerate() {
            let center = axis.start + (x as f64 + 0.5) * scale;
            // `as` truncates towards zero and maps negatives to 0, like the C cast with its clamp.
            let first = (center - support + 0.5) as usize;
            let last = ((center + support + 0.5) as usize).min(axis.total);
            let exact = &mut exact[..last - first];
            let mut sum = 0.0;
            for (i, weight) in exact.iter_mut().enumerate() {
                let i = i + first;
                *weight = kernel(filter, (i as f64 - center + 0.5) * inverse) * covered(i);
                sum += *weight;
            }
            let (mut border, mut count) = (0, 0);
            for (i, weight) in exact.iter().enumerate() {
                let i = i + first;
                let weight = if sum == 0.0 { *weight } else { *weight / sum };
                border += to_fixed(weight);
                if image.contains(&i) {
                    let part = if i + 1 == image.end { axis.tail / covered(i) } else { 1.0 };
                    row[count] = to_fixed(weight * part.min(1.0));
                    border -= row[count];
                    count += 1;
                }
            }
            taps.first.push(first.clamp(image.start, image.end) - image.start);
            taps.counts.push(count);
            taps.border.push(border);
        }
        taps
    }

    /// Number of output samples.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// The largest number of weights of an output sample.
    pub(super) fn longest(&self) -> usize {
        self.counts.iter().copied().max().unwrap_or(0)
    }

    /// What makes output `x`.
    #[inline(always)]
    pub(super) fn at(&self, x: usize) -> Tap<'_> {
        let start = x * self.stride;
        let weights = &self.weights[start..start + self.counts[x]];
        Tap { first: self.first[x], weights, border: self.border[x] }
    }
}

/// Half width of the kernel at scale 1.
fn radius(filter: Kernel) -> f64 {
    match filter {
        Kernel::Bicubic => 2.0,
        Kernel::Bilinear => 1.0,
        Kernel::Lanczos => 3.0,
    }
}

fn kernel(filter: Kernel, x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match filter {
        Kernel::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        Kernel::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        Kernel::Bilinear if x < 1.0 => 1.0 - x,
        Kernel::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
        Kernel::Bicubic | Kernel::Bilinear | Kernel::Lanczos => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Round half away from zero, by truncation as in C.
fn to_fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}
